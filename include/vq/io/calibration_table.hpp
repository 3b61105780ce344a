// Calibrated ranges of tensors as plain JSON, for people and other tools.
//
//   {"format": "vq-calibration-table", "version": 1, "tensors": {
//     "relu1": {"lowest": 0.0, "highest": 6.0, "scale": 0.023529412224888802, "zero_point": -128}}}
//
// Numbers are floats, written with as many digits as a double needs, so reading them as double and
// rounding to float gives the very same float. Unknown fields are ignored, missing ones refused.
#ifndef VQ_IO_CALIBRATION_TABLE_HPP
#define VQ_IO_CALIBRATION_TABLE_HPP

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <vq/core/range.hpp>
#include <vq/core/result.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/mapped_file.hpp>

namespace vq::inline v1 {

struct calibrated_tensor {
  range observed;   // after clipping: what the codes represent
  float scale = 1;  // value = (code - zero_point) * scale
  std::int32_t zero_point = 0;
  friend bool operator==(const calibrated_tensor&, const calibrated_tensor&) = default;
};

using calibration_table = std::map<std::string, calibrated_tensor>;

// The rule that an entry breaks, or null.
inline const char* wrong_calibration(const calibrated_tensor& t) noexcept {
  constexpr float largest = (std::numeric_limits<float>::max)();
  if (!(t.observed.lowest >= -largest && t.observed.highest <= largest)) {
    return "lowest and highest must be finite floats";
  }
  if (t.observed.empty()) return "lowest is above highest";
  if (!(t.scale > 0 && t.scale <= largest)) return "scale must be a finite float above zero";
  return nullptr;
}

// The text of a table; `file` is its name for messages. Errors: bad_argument (a range that is empty
// or not finite, a scale that is not above zero, a name that is not UTF-8).
inline result<std::string, failure> format_calibration_table(const calibration_table& table,
                                                             std::string_view file) {
  using json = nlohmann::json;
  // One tensor per line: a table is compared and searched line by line.
  std::string text = "{\"format\": \"vq-calibration-table\", \"version\": 1, \"tensors\": {";
  const auto quote = [](const std::string& name, json::error_handler_t invalid_bytes) {
    return json(name).dump(-1, ' ', false, invalid_bytes);
  };
  const char* separator = "\n";
  for (const auto& [name, t] : table) {
    const std::string key = quote(name, json::error_handler_t::replace);
    const char* rule = key == quote(name, json::error_handler_t::ignore) ? wrong_calibration(t)
                                                                         : "the name is not UTF-8";
    if (rule != nullptr) {
      return failure{status::bad_argument,
                     sentence(file, ": tensor ", in_quotes(name), ": ", rule)};
    }
    const auto number = [](float value) { return json(static_cast<double>(value)).dump(); };
    text += sentence(separator, key, ": {\"lowest\": ", number(t.observed.lowest),
                     ", \"highest\": ", number(t.observed.highest),
                     ", \"scale\": ", number(t.scale), ", \"zero_point\": ", t.zero_point, "}");
    separator = ",\n";
  }
  return text += "\n}}\n";
}

// Errors: bad_format.
inline result<calibration_table, failure> parse_calibration_table(std::string_view text,
                                                                  std::string_view file) {
  using json = nlohmann::json;
  const auto refuse = [file](auto... rule) {
    return failure{status::bad_format, sentence(file, ": ", rule...)};
  };

  const auto document = parse_json_object(text, file);
  if (!document) return document.error();
  if (document->value("format", json()) != "vq-calibration-table") {
    return refuse("not a vq-calibration-table");
  }
  if (document->value("version", json()) != 1) return refuse("version must be 1");
  const json tensors = document->value("tensors", json());
  if (!tensors.is_object()) return refuse("tensors must be an object");

  calibration_table table;
  for (const auto& item : tensors.items()) {
    const std::string& name = item.key();
    const json& entry = item.value();
    const auto refuse_tensor = [&](std::string_view rule) {
      return refuse("tensor ", in_quotes(name), ": ", rule);
    };
    if (!entry.is_object()) return refuse_tensor("must be an object");
    for (const char* field : {"lowest", "highest", "scale"}) {
      if (!entry.contains(field) || !entry[field].is_number()) {
        return refuse_tensor(sentence(field, " must be a number"));
      }
    }
    // A double beyond float becomes infinite here and is refused below.
    const auto number = [&](const char* field) {
      const auto value = entry[field].get<double>();
      constexpr double largest = (std::numeric_limits<float>::max)();
      constexpr float infinity = std::numeric_limits<float>::infinity();
      return value > largest ? infinity : value < -largest ? -infinity : static_cast<float>(value);
    };
    const json zero_point = entry.value("zero_point", json());
    using limits = std::numeric_limits<std::int32_t>;
    const bool fits =
        zero_point.is_number_unsigned()
            ? zero_point.get<std::uint64_t>() <= std::uint64_t{(limits::max)()}
            : zero_point.is_number_integer() && zero_point.get<std::int64_t>() >= (limits::min)();
    if (!fits) {
      return refuse_tensor("zero_point must be a 32-bit integer");
    }
    const calibrated_tensor t{
        {number("lowest"), number("highest")}, number("scale"), zero_point.get<std::int32_t>()};
    if (const char* rule = wrong_calibration(t)) return refuse_tensor(rule);
    table.emplace(name, t);
  }
  return table;
}

// Returns the size of the file. Errors: those of format_calibration_table, io_error.
inline result<std::uint64_t, failure> write_calibration_table(const std::filesystem::path& path,
                                                              const calibration_table& table) {
  const auto text = format_calibration_table(table, path.string());
  if (!text) return text.error();
  return write_file(path, *text);
}

// Errors: those of mapped_file::open, bad_format.
inline result<calibration_table, failure> read_calibration_table(
    const std::filesystem::path& path) {
  const auto file = mapped_file::open(path, {.access = file_access::read});
  if (!file) return file.error();
  return parse_calibration_table(as_text(file->bytes()), path.string());
}

}  // namespace vq::inline v1

#endif
