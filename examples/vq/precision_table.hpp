// Which component has which precision: the table after every run, and its JSON.
//
//   component       tensors     parameters     bytes  precision
//   vision              391    303,507,456  0.607 GB  f16
//   language_model      291  6,476,271,616  3.341 GB  nf4-block64-dq256 (224), f16 (67)
//   head                                              tied to the embedding
#ifndef TOOL_PRECISION_TABLE_HPP
#define TOOL_PRECISION_TABLE_HPP

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/plan/summary.hpp>

#include "table.hpp"

namespace tool {

// "nf4-block64-dq256 (224), f16 (67)"
inline std::string formats_text(const vq::component_summary& c) {
  std::string text;
  for (const vq::format_share& share : c.formats) {
    text += (text.empty() ? "" : ", ") + share.format;
    if (c.formats.size() > 1) text += " (" + count_text(share.tensors) + ")";
  }
  return c.note.empty() ? text : text.empty() ? c.note : text + "; " + c.note;
}

inline std::string precision_table(const vq::model_summary& summary) {
  table rows({"component", "tensors", "parameters", "bytes", "precision"});
  const auto row = [&](std::string name, const vq::format_share& all, std::string formats) {
    const bool some = all.tensors > 0;
    rows.add({std::move(name), some ? count_text(all.tensors) : "",
              some ? count_text(all.parameters) : "", some ? size_text(all.bytes) : "",
              std::move(formats)});
  };
  for (const vq::component_summary& c : summary.components) {
    row(std::string(vq::name_of(c.part)), c.all, formats_text(c));
  }
  row("total", summary.total, "");
  return rows.text();
}

inline nlohmann::ordered_json precision_json(const vq::model_summary& summary) {
  const auto json_of = [](const vq::format_share& share) {
    return nlohmann::ordered_json{
        {"tensors", share.tensors}, {"parameters", share.parameters}, {"bytes", share.bytes}};
  };
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const vq::component_summary& c : summary.components) {
    nlohmann::ordered_json one{{"component", vq::name_of(c.part)}};
    one.update(json_of(c.all));
    one["formats"] = nlohmann::ordered_json::array();
    for (const vq::format_share& share : c.formats) {
      nlohmann::ordered_json format{{"format", share.format}};
      format.update(json_of(share));
      one["formats"].push_back(std::move(format));
    }
    if (!c.note.empty()) one["note"] = c.note;
    all.push_back(std::move(one));
  }
  return {{"components", std::move(all)}, {"total", json_of(summary.total)}};
}

}  // namespace tool

#endif
