// config.json of a model: what the network is and how its images are prepared.
#ifndef ENGINE_MODEL_CONFIG_HPP
#define ENGINE_MODEL_CONFIG_HPP

#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/mapped_file.hpp>

#include "engine/tensor.hpp"

namespace engine {

// Reads fields and remembers the first that is missing or out of range: check `error` once, at the
// end.
class model_config {
 public:
  static vq::result<model_config, vq::failure> open(const std::filesystem::path& path) {
    const auto file = vq::mapped_file::open(path, {.max_bytes = 1 << 20});
    if (!file) return file.error();
    const auto* text = reinterpret_cast<const char*>(file->bytes().data());
    model_config config;
    config.file_ = path.string();
    config.json_ = nlohmann::json::parse(text, text + file->bytes().size(), nullptr, false);
    if (!config.json_.is_object()) {
      return vq::failure{vq::status::bad_format,
                         vq::sentence(config.file_, ": this is not a JSON object")};
    }
    return config;
  }

  const std::string& file() const { return file_; }
  const vq::failure& error() const { return error_; }
  bool ok() const { return error_.code == vq::status::ok; }

  std::string text(const char* field) {
    if (has(field, &nlohmann::json::is_string)) return json_[field].get<std::string>();
    refuse(field, "a text is needed");
    return {};
  }

  index_type integer(const char* field, index_type lowest, index_type highest) {
    if (has(field, &nlohmann::json::is_number_integer)) {
      const auto value = json_[field].get<std::int64_t>();
      if (value >= lowest && value <= highest) return static_cast<index_type>(value);
    }
    refuse(field, vq::sentence("an integer from ", lowest, " to ", highest, " is needed"));
    return lowest;
  }

  // How many entries an object has; at least one.
  index_type entries(const char* field) {
    if (has(field, &nlohmann::json::is_object) && !json_[field].empty()) {
      return static_cast<index_type>(json_[field].size());
    }
    refuse(field, "an object with an entry for each class is needed");
    return 1;
  }

  bool contains(const char* field) const { return json_.contains(field); }

  std::vector<std::string> fields() const {
    std::vector<std::string> names;
    for (const auto& entry : json_.items()) names.push_back(entry.key());
    return names;
  }

  // The object in a field, which keeps an error of its own.
  model_config section(const char* field) {
    model_config inner;
    inner.file_ = file_;
    inner.above_ = above_ + field + ".";
    if (has(field, &nlohmann::json::is_object)) {
      inner.json_ = json_[field];
    } else {
      refuse(field, "an object is needed");
      inner.error_ = error_;
    }
    return inner;
  }

  // An integer that divides `whole`.
  index_type divisor(const char* field, index_type whole) {
    const index_type value = integer(field, 1, whole);
    if (ok() && whole % value == 0) return value;
    refuse(field, vq::sentence("a divisor of ", whole, " is needed"));
    return 1;
  }

  // A text that must be `value` where it is given.
  void expect(const char* field, std::string_view value) {
    if (json_.contains(field) && text(field) != value) {
      refuse(field, vq::sentence("only ", vq::in_quotes(value), " is known here"));
    }
  }

  // A positive number; `otherwise` where the field is absent, unless that is 0.
  float positive(const char* field, float otherwise = 0) {
    if (otherwise > 0 && !json_.contains(field)) return otherwise;
    const auto value = has(field, &nlohmann::json::is_number) ? json_[field].get<float>() : 0.f;
    if (value > 0 && std::isfinite(value)) return value;
    refuse(field, "a positive number is needed");
    return 1;
  }

  // Three finite numbers, one per colour.
  std::array<float, 3> colours(const char* field, bool positive) {
    std::array<float, 3> values{1, 1, 1};
    bool good = has(field, &nlohmann::json::is_array) && json_[field].size() == 3;
    for (std::size_t i = 0; good && i < 3; ++i) {
      good = json_[field][i].is_number();
      if (good) values[i] = json_[field][i].get<float>();
      good = good && std::isfinite(values[i]) && (!positive || values[i] > 0);
    }
    if (!good)
      refuse(field, positive ? "three positive numbers are needed" : "three numbers are needed");
    return values;
  }

  // Rows of `width` integers from 1 to 4096.
  std::vector<std::vector<index_type>> table(const char* field, std::size_t width) {
    std::vector<std::vector<index_type>> rows;
    bool good = has(field, &nlohmann::json::is_array);
    for (std::size_t r = 0; good && r < json_[field].size(); ++r) {
      const auto& row = json_[field][r];
      good = row.is_array() && row.size() == width;
      rows.emplace_back();
      for (std::size_t i = 0; good && i < width; ++i) {
        good = row[i].is_number_integer() && row[i] >= 1 && row[i] <= 4096;
        if (good) rows.back().push_back(row[i].get<index_type>());
      }
    }
    if (!good) refuse(field, vq::sentence("rows of ", width, " positive integers are needed"));
    return rows;
  }

  void refuse(const char* field, std::string_view rule) {
    if (!ok()) return;
    error_ = {vq::status::bad_format,
              vq::sentence(file_, ": field ", vq::in_quotes(above_ + field), ": ", rule)};
  }

 private:
  bool has(const char* field, bool (nlohmann::json::*is)() const noexcept) const {
    return json_.contains(field) && (json_[field].*is)();
  }

  std::string file_;
  std::string above_;  // "text_config." in a section
  nlohmann::json json_;
  vq::failure error_{vq::status::ok, {}};
};

}  // namespace engine

#endif
