// JSON from a file that nobody has checked yet: config.json, an index, a description of a format.
//
//   auto config = vq::read_json("llava-1.5-7b-hf/config.json");
//   if (!config) return report(vq::describe(config.error()));
//
// Stricter than the parser beneath: two equal keys in one object, values nested deeper than 64, and
// NUL are refused, because other readers would see another value.
#ifndef VQ_IO_JSON_FILE_HPP
#define VQ_IO_JSON_FILE_HPP

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/mapped_file.hpp>

namespace vq::inline v1 {

// `name` is what messages call the text. Errors: bad_format.
inline result<nlohmann::json, failure> parse_json(std::string_view text, std::string_view name) {
  using json = nlohmann::json;
  using event = json::parse_event_t;
  constexpr int deepest = 64;
  std::optional<std::string> wrong;
  std::vector<std::set<std::string>> open_objects;  // their keys
  const auto watch = [&](int depth, event what, json& value) {
    if (wrong) return false;  // the rest is read, not kept
    if (what == event::object_start) open_objects.emplace_back();
    if (what == event::object_end) open_objects.pop_back();
    if ((what == event::object_start || what == event::array_start) && depth >= deepest) {
      wrong = sentence("values are nested deeper than ", deepest);
    } else if (what == event::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) wrong = in_quotes(key) + " occurs twice";
    }
    return !wrong;
  };
  json tree(json::value_t::discarded);
  if (text.find('\0') == std::string_view::npos) {  // the parser would stop there
    tree = json::parse(text.begin(), text.end(), watch, false);
  }
  if (!wrong && tree.is_discarded()) wrong = "not valid JSON in UTF-8";
  if (wrong) return failure{status::bad_format, sentence(name, ": ", *wrong)};
  return tree;
}

// The same of a text that must be an object. Errors: bad_format.
inline result<nlohmann::json, failure> parse_json_object(std::string_view text,
                                                         std::string_view name) {
  auto parsed = parse_json(text, name);
  if (!parsed || parsed->is_object()) return parsed;
  return failure{status::bad_format, sentence(name, ": must be a JSON object")};
}

// Errors: not_found, io_error (unreadable, larger than 100 MB), bad_format.
inline result<nlohmann::json, failure> read_json(const std::filesystem::path& path) {
  const auto file =
      mapped_file::open(path, {.access = file_access::read, .max_bytes = 100'000'000});
  if (!file) return file.error();
  return parse_json(as_text(file->bytes()), path.string());
}

}  // namespace vq::inline v1

#endif
