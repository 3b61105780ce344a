// What each layer takes in each format on a device, as measured there: the second limit of a plan.
//
//   {"vq_times": 1, "unit": "ms",
//    "layers": {"encoder.0.fc1": {"int8-channel": 0.21, "int4-channel": 0.13, "keep": 0.55}, ...}}
//
//   auto times = vq::read_layer_times("times.json");
//   request.time = *times;
//   request.limits.time = 8;                        // in the unit of the file
//
// A layer or a format that the file does not name takes infinitely long, so no plan uses it: what
// nobody measured, or what the device cannot run.
#ifndef VQ_PLAN_LAYER_TIMES_HPP
#define VQ_PLAN_LAYER_TIMES_HPP

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/name_layout.hpp>

namespace vq::inline v1 {

struct layer_times {
  std::string unit;
  std::map<std::string, std::map<std::string, double, std::less<>>, std::less<>> of_layer;

  // As plan_request asks; the weight `encoder.0.fc1.weight` is of the layer `encoder.0.fc1`.
  double operator()(const tensor_info& weight, std::string_view format) const {
    const auto layer = of_layer.find(module_of(weight.name));
    if (layer == of_layer.end()) return std::numeric_limits<double>::infinity();
    const auto time = layer->second.find(format);
    return time == layer->second.end() ? std::numeric_limits<double>::infinity() : time->second;
  }
};

// `file` is what messages call the text. Errors: bad_format.
inline result<layer_times, failure> parse_layer_times(const nlohmann::json& document,
                                                      std::string_view file) {
  using json = nlohmann::json;
  const auto refuse = [&](std::string_view why) {
    return failure{status::bad_format, sentence(file, ": ", why)};
  };
  if (!document.is_object() || document.value("vq_times", json()) != 1) {
    return refuse("not a table of times (\"vq_times\": 1)");
  }
  const json unit = document.value("unit", json("")), layers = document.value("layers", json());
  if (!unit.is_string() || !layers.is_object()) {
    return refuse("unit must be a text, layers an object");
  }
  layer_times times{unit.get<std::string>(), {}};
  for (const auto& [layer, formats] : layers.items()) {
    auto& row = times.of_layer[layer];
    if (!formats.is_object()) {
      return refuse(sentence("layer ", in_quotes(layer), " must be an object of formats"));
    }
    for (const auto& [format, time] : formats.items()) {
      const double t = time.is_number() ? time.get<double>() : -1;
      if (!(t >= 0) || std::isinf(t)) {
        return refuse(sentence("layer ", in_quotes(layer), ", format ", in_quotes(format),
                               ": a time is a finite number, not below zero"));
      }
      row.emplace(format, t);
    }
  }
  return times;
}

// Errors: those of read_json, bad_format.
inline result<layer_times, failure> read_layer_times(const std::filesystem::path& path) {
  const auto document = read_json(path);
  if (!document) return document.error();
  return parse_layer_times(*document, path.string());
}

}  // namespace vq::inline v1

#endif
