// Tables of sensitivities as JSON: versioned, one trial a line, the same bytes for the same table.
//
//   {"vq_sensitivity": 1, "about": {"model": "vit", "measure": "KL of the logits, ..."},
//    "complete": true,
//    "layers": [{"name": "vit.encoder.layer.0.attention.output.dense"}, ...],
//    "formats": ["int4-channel", "int8-channel"],
//    "trials": [
//     {"procedure": "alone", "format": 0, "layer": 0, "measure": [0.0123, 0.0117]},
//     ...]}
//
// `about` says where the numbers come from: texts, for people. Numbers are written so that reading
// gives the same doubles.
#ifndef VQ_PLAN_SENSITIVITY_FILE_HPP
#define VQ_PLAN_SENSITIVITY_FILE_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <vq/analyze/sensitivity.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>

namespace vq::inline v1 {

struct sensitivity_file {
  sensitivity_table table;
  std::map<std::string, std::string> about;
};

inline std::string format_sensitivity(const sensitivity_file& f) {
  const auto text_of = [](const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string text =
      sentence("{\"vq_sensitivity\": 1, \"about\": ", text_of(f.about),
               ",\n \"complete\": ", f.table.complete ? "true" : "false", ",\n \"layers\": [");
  const char* separator = "\n  ";
  for (const sensitivity_layer& l : f.table.layers) {
    text += sentence(separator, "{\"name\": ", text_of(l.name));
    if (!l.part.empty()) text += ", \"part\": " + text_of(l.part);
    text += "}";
    separator = ",\n  ";
  }
  text += sentence("],\n \"formats\": ", text_of(f.table.formats), ",\n \"trials\": [");
  separator = "\n  ";
  for (const sensitivity_trial& t : f.table.trials) {
    text += sentence(separator, "{\"procedure\": \"", name_of(t.how), "\", \"format\": ", t.format,
                     ", \"layer\": ", t.layer, ", \"measure\": ", text_of(t.measure), "}");
    separator = ",\n  ";
  }
  return text += "]}\n";
}

namespace detail {

// Every check is on a value that exists: `at` of an object is never called with an unknown key.
class sensitivity_reader {
 public:
  using json = nlohmann::json;

  explicit sensitivity_reader(std::string_view file) : file_(file) {}

  result<sensitivity_file, failure> read(const json& document) {
    if (!document.is_object() || document.value("vq_sensitivity", json()) != 1) {
      return refuse("not a table of sensitivities (\"vq_sensitivity\": 1)");
    }
    sensitivity_file f;
    const json about = document.value("about", json::object());
    const json layers = document.value("layers", json()),
               formats = document.value("formats", json()),
               trials = document.value("trials", json());
    if (!about.is_object() || !layers.is_array() || !formats.is_array() || !trials.is_array()) {
      return refuse("about must be an object; layers, formats and trials must be lists");
    }
    for (const auto& item : about.items()) {
      if (!item.value().is_string()) return refuse("about holds texts only");
      f.about.emplace(item.key(), item.value().get<std::string>());
    }
    for (const json& l : layers) {
      const json name = l.is_object() ? l.value("name", json()) : json();
      const json part = l.is_object() ? l.value("part", json("")) : json();
      if (!name.is_string() || !part.is_string()) return refuse("a layer needs a name");
      f.table.layers.push_back({name.get<std::string>(), part.get<std::string>()});
    }
    for (const json& format : formats) {
      if (!format.is_string()) return refuse("formats are names");
      f.table.formats.push_back(format.get<std::string>());
    }
    for (const json& t : trials) {
      auto trial = read_trial(t, f.table);
      if (!trial) {
        return refuse(sentence("trial ", f.table.trials.size() + 1,
                               ": needs a procedure, the numbers of a format and a layer of this "
                               "table, and a list of finite measures, as long as the first"));
      }
      f.table.trials.push_back(*std::move(trial));
    }
    const json complete = document.value("complete", json(false));
    f.table.complete = complete.is_boolean() && complete.get<bool>();
    return f;
  }

 private:
  failure refuse(std::string_view why) const {
    return {status::bad_format, sentence(file_, ": ", why)};
  }

  static std::optional<sensitivity_trial> read_trial(const json& t,
                                                     const sensitivity_table& table) {
    if (!t.is_object()) return std::nullopt;
    sensitivity_trial trial;
    const json how = t.value("procedure", json());
    if (how == name_of(procedure::alone)) {
      trial.how = procedure::alone;
    } else if (how == name_of(procedure::all_but_one)) {
      trial.how = procedure::all_but_one;
    } else if (how == name_of(procedure::cumulative)) {
      trial.how = procedure::cumulative;
    } else {
      return std::nullopt;
    }
    const auto number = [&](const char* field, std::size_t end, index_type& to) {
      const json value = t.value(field, json());
      if (!value.is_number_integer()) return false;
      const auto n = value.get<std::int64_t>();
      to = static_cast<index_type>(n);
      return n >= 0 && n < static_cast<std::int64_t>(end);
    };
    if (!number("format", table.formats.size(), trial.format)) return std::nullopt;
    if (!number("layer", table.layers.size(), trial.layer)) return std::nullopt;
    if (table.of(trial.how, trial.format, trial.layer) != nullptr) return std::nullopt;
    const json measure = t.value("measure", json());
    if (!measure.is_array() || measure.empty()) return std::nullopt;
    for (const json& x : measure) {
      if (!x.is_number() || !std::isfinite(x.get<double>())) return std::nullopt;
      trial.measure.push_back(x.get<double>());
    }
    const bool as_long =
        table.trials.empty() || table.trials.front().measure.size() == trial.measure.size();
    return as_long ? std::optional(std::move(trial)) : std::nullopt;
  }

  std::string_view file_;
};

}  // namespace detail

// `file` is what messages call the text. Errors: bad_format.
inline result<sensitivity_file, failure> parse_sensitivity(std::string_view text,
                                                           std::string_view file) {
  const auto document = parse_json(text, file);
  if (!document) return document.error();
  return detail::sensitivity_reader(file).read(*document);
}

// Errors: those of read_json, bad_format.
inline result<sensitivity_file, failure> read_sensitivity(const std::filesystem::path& path) {
  const auto document = read_json(path);
  if (!document) return document.error();
  return detail::sensitivity_reader(path.string()).read(*document);
}

}  // namespace vq::inline v1

#endif
