// Points of accuracy and bytes from the JSON of the demos and of `vq eval`.
#ifndef TOOL_REPORT_EVALUATION_HPP
#define TOOL_REPORT_EVALUATION_HPP

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tradeoff_chart.hpp"

namespace tool::report_page {

using json = nlohmann::json;

// In per cent; measures are shares or per cent. NaN where none of them is there.
inline double accuracy_in(const json& row, std::initializer_list<const char*> measures) {
  for (const char* measure : measures) {
    const json value = row.value(measure, json());
    if (value.is_number()) {
      const double x = value.get<double>();
      return x <= 1 ? 100 * x : x;
    }
  }
  return std::nan("");
}

inline tradeoff_point point_of(std::string label, const json& bytes, double accuracy,
                               const json& row) {
  tradeoff_point p{std::move(label), bytes.is_number() ? bytes.get<double>() : std::nan(""),
                   accuracy};
  for (const char* count : {"images", "questions", "test_items", "items"}) {
    const json n = row.value(count, json());
    if (n.is_number() && n.get<double>() > 0) {
      p.standard_error = std::sqrt(accuracy * (100 - accuracy) / n.get<double>());
    }
  }
  return p;
}

// Of `vq eval`: the first measure, and all bytes of the plan.
inline tradeoff_point point_of_eval(const json& row, std::string label) {
  const json measures = row.value("measures", json()), precision = row.value("precision", json());
  const json total = precision.is_object() ? precision.value("total", json()) : json();
  if (!measures.is_array() || measures.empty() || !measures[0].is_object() || !total.is_object()) {
    return {.label = {}, .bytes = std::nan("")};
  }
  return point_of(std::move(label), total.value("bytes", json()),
                  accuracy_in(measures[0], {"quantized"}), row);
}

// Rows of other models than this one are left out; `model` empty takes all.
inline std::vector<tradeoff_point> read_points(const json& document, std::string_view model) {
  std::vector<tradeoff_point> points;
  const auto keep = [&](const tradeoff_point& p) {
    const bool known = std::any_of(points.begin(), points.end(), [&](const auto& q) {
      return q.label == p.label && q.bytes == p.bytes && q.accuracy == p.accuracy;
    });
    if (std::isfinite(p.bytes) && std::isfinite(p.accuracy) && !known) points.push_back(p);
  };
  const auto text_in = [](const json& row, const char* field) {
    const json value = row.value(field, json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  json rows = document.is_object() ? document.value("rows", json()) : json();
  if (!rows.is_array()) rows = json::array({document});  // one row: the report of a command
  for (const json& row : rows) {
    if (!row.is_object()) continue;
    const std::string of = text_in(row, "model");
    if (!model.empty() && !of.empty() && of.find(model) == std::string::npos) continue;
    if (row.contains("mixed_accuracy")) {  // a uniform format and a plan of no more bytes
      const std::string uniform = text_in(row, "uniform");
      keep(point_of("float", row.value("float_bytes", json()), accuracy_in(row, {"float_accuracy"}),
                    row));
      keep(point_of(uniform, row.value("uniform_bytes", json()),
                    accuracy_in(row, {"uniform_accuracy"}), row));
      keep(point_of("plan for " + uniform, row.value("mixed_bytes", json()),
                    accuracy_in(row, {"mixed_accuracy"}), row));
      continue;
    }
    std::string label = text_in(row, "variant");
    if (label.empty()) label = text_in(row, "recipe");
    if (row.contains("measures")) {
      keep(point_of_eval(row, label));
      continue;
    }
    keep(point_of(label, row.value("bytes", json()),
                  accuracy_in(row, {"top1", "exact_match", "accuracy"}), row));
  }
  return points;
}

}  // namespace tool::report_page

#endif
