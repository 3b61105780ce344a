// A recipe: which precision each part of a model gets.
//
//   {"name": "my-recipe", "about": "4-bit decoder, the first layers in 8 bits",
//    "rules": [
//      {"pattern": "language_model.*.layers.0", "format": "int8-channel"},
//      {"component": "language_model", "format": "nf4-block64-dq256"},
//      {"component": "vision", "format": "keep"},
//      {"component": "cross_attention", "format": "nf4-block64-dq256", "optional": true}]}
//
//   const auto mine = vq::parse_recipe(text, "my-recipe.json");
//   const auto plan = vq::apply(*mine, tensors, formats);        // plan/assignment.hpp
//
// Rules are read in order and the first that hits a tensor decides; what no rule hits stays as it
// is. A rule names a component (plan/component.hpp), a pattern (plan/name_layout.hpp), or both.
// Formats are those of plan/weight_formats.hpp, or "keep", "f32", "f16", "bf16". A rule that hits
// nothing is an error unless it is "optional". Quantizing rules take linear layers; with
// "convolutions": true, or a pattern that hits nothing else, convolutions too.
#ifndef VQ_PLAN_RECIPE_HPP
#define VQ_PLAN_RECIPE_HPP

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/plan/component.hpp>
#include <vq/plan/name_layout.hpp>
#include <vq/plan/weight_format.hpp>

namespace vq::inline v1 {

struct recipe_rule {
  std::optional<component> part{};  // nothing: every component
  std::string pattern{};            // empty: every name
  std::string format{keep_format};
  bool optional = false;
  bool convolutions = false;

  bool selects(component c, std::string_view name) const {
    return (!part || *part == c) && (pattern.empty() || matches(pattern, name));
  }
  // "component 'vision', pattern '*.fc1' -> int8-channel"
  std::string text() const {
    std::string t = part ? sentence("component ", in_quotes(name_of(*part))) : "";
    if (!pattern.empty()) t += sentence(t.empty() ? "" : ", ", "pattern ", in_quotes(pattern));
    return t + " -> " + format;
  }
  friend bool operator==(const recipe_rule&, const recipe_rule&) = default;
};

struct recipe {
  std::string name;
  std::string about;
  std::vector<recipe_rule> rules;
  friend bool operator==(const recipe&, const recipe&) = default;
};

namespace detail {

class recipe_reader {
 public:
  using json = nlohmann::json;

  explicit recipe_reader(std::string_view file) : file_(file) {}

  result<recipe, failure> read(std::string_view text) {
    const auto parsed_text = parse_json(text, file_);
    if (!parsed_text) return parsed_text.error();
    const json& document = *parsed_text;
    if (!document.is_object()) return refuse("a recipe is a JSON object");
    recipe made;
    if (!check_keys(document, {"name", "about", "rules"})) return failure_;
    if (!read_text(document, "name", made.name) || made.name.empty()) {
      return refuse("the field 'name' must be a text that is not empty");
    }
    if (!read_text(document, "about", made.about)) return refuse("'about' must be a text");
    const json rules = document.value("rules", json());
    if (!rules.is_array() || rules.empty()) {
      return refuse("the field 'rules' must be a list with at least one rule");
    }
    for (const json& rule : rules) {
      where_ = sentence("rule ", made.rules.size() + 1, ": ");
      auto parsed = read_rule(rule);
      if (!parsed) return failure_;
      made.rules.push_back(*std::move(parsed));
    }
    return made;
  }

 private:
  failure refuse(std::string_view rule) {
    return failure_ = {status::bad_format, sentence(file_, ": ", where_, rule)};
  }

  bool check_keys(const json& object, std::initializer_list<std::string_view> known) {
    for (const auto& item : object.items()) {
      if (std::ranges::find(known, item.key()) == known.end()) {
        std::string list;
        for (const std::string_view key : known) list += sentence(list.empty() ? "" : ", ", key);
        static_cast<void>(
            refuse(sentence("unknown field ", in_quotes(item.key()), "; known are ", list)));
        return false;
      }
    }
    return true;
  }

  // Leaves `text` alone where the field is absent.
  static bool read_text(const json& object, const char* field, std::string& text) {
    if (!object.contains(field)) return true;
    if (!object[field].is_string()) return false;
    text = object[field].get<std::string>();
    return true;
  }

  std::optional<recipe_rule> read_rule(const json& object) {
    recipe_rule rule;
    std::string part;
    const auto wrong = [this](std::string_view text) -> std::optional<recipe_rule> {
      static_cast<void>(refuse(text));
      return std::nullopt;
    };
    if (!object.is_object()) return wrong("a rule is a JSON object");
    if (!check_keys(object, {"component", "pattern", "format", "optional", "convolutions"})) {
      return std::nullopt;
    }
    if (!read_text(object, "component", part)) return wrong("'component' must be a text");
    if (!read_text(object, "pattern", rule.pattern)) return wrong("'pattern' must be a text");
    if (!object.contains("format") || !read_text(object, "format", rule.format)) {
      return wrong("'format' must be a text: a format, or keep, f32, f16, bf16");
    }
    for (auto [field, to] :
         {std::pair{"optional", &rule.optional}, std::pair{"convolutions", &rule.convolutions}}) {
      if (!object.contains(field)) continue;
      if (!object[field].is_boolean())
        return wrong(sentence("'", field, "' must be true or false"));
      *to = object[field].get<bool>();
    }
    if (object.contains("component")) {
      rule.part = component_from_name(part);
      if (!rule.part) {
        std::string list;
        for (const auto& name : component_names) list += sentence(list.empty() ? "" : ", ", name);
        return wrong(sentence("unknown component ", in_quotes(part), "; known are ", list));
      }
    } else if (rule.pattern.empty()) {
      return wrong("a component or a pattern is needed");
    }
    return rule;
  }

  std::string_view file_;
  std::string where_;
  failure failure_;
};

}  // namespace detail

// `file` is the text's name for messages. Formats are checked when the recipe is applied. Errors:
// bad_format.
inline result<recipe, failure> parse_recipe(std::string_view text, std::string_view file) {
  return detail::recipe_reader(file).read(text);
}

// Errors: those of mapped_file::open, bad_format.
inline result<recipe, failure> read_recipe(const std::filesystem::path& path) {
  const auto file = mapped_file::open(path, {.access = file_access::read, .max_bytes = 1 << 20});
  if (!file) return file.error();
  return parse_recipe(as_text(file->bytes()), path.string());
}

// The text that parse_recipe reads, one rule a line.
inline std::string format_recipe(const recipe& r) {
  const auto quoted = [](std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string text =
      sentence("{\"name\": ", quoted(r.name), ", \"about\": ", quoted(r.about), ",\n \"rules\": [");
  const char* separator = "\n  ";
  for (const recipe_rule& rule : r.rules) {
    text += sentence(separator, "{");
    if (rule.part) text += sentence("\"component\": ", quoted(name_of(*rule.part)), ", ");
    if (!rule.pattern.empty()) text += sentence("\"pattern\": ", quoted(rule.pattern), ", ");
    text += sentence("\"format\": ", quoted(rule.format));
    if (rule.optional) text += ", \"optional\": true";
    if (rule.convolutions) text += ", \"convolutions\": true";
    text += "}";
    separator = ",\n  ";
  }
  return text += "]}\n";
}

}  // namespace vq::inline v1

#endif
