// Recipes as text: what is read, what is refused and with which sentence.
#include <string>
#include <string_view>

#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/recipe.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

std::string refusal(std::string_view text) {
  const auto parsed = vq::parse_recipe(text, "r.json");
  if (parsed) return "";
  CHECK(parsed.error().code == vq::status::bad_format);
  return vq::describe(parsed.error());
}
std::string refusal_of_rule(std::string_view rule) {
  return refusal(R"({"name": "r", "rules": [{"component": "head", "format": "keep"}, )" +
                 std::string(rule) + "]}");
}

}  // namespace

TEST_CASE("recipe: the documented example is read", "[plan]") {
  const auto parsed = vq::parse_recipe(R"(
    {"name": "my-recipe", "about": "4-bit decoder, the first layers in 8 bits",
     "rules": [
       {"pattern": "language_model.*.layers.0", "format": "int8-channel"},
       {"component": "language_model", "format": "nf4-block64-dq256"},
       {"component": "vision", "format": "keep"},
       {"component": "cross_attention", "format": "nf4-block64-dq256", "optional": true},
       {"component": "vision", "pattern": "*.fc1", "format": "int8-channel",
        "convolutions": true}]})",
                                       "r.json");
  REQUIRE(parsed);
  CHECK(parsed->name == "my-recipe");
  CHECK(parsed->about == "4-bit decoder, the first layers in 8 bits");
  REQUIRE(parsed->rules.size() == 5);
  CHECK_FALSE(parsed->rules[0].part);
  CHECK(parsed->rules[0].pattern == "language_model.*.layers.0");
  CHECK(parsed->rules[1].part == vq::component::language_model);
  CHECK_FALSE(parsed->rules[1].optional);
  CHECK(parsed->rules[3].optional);
  CHECK(parsed->rules[4].convolutions);
  CHECK(parsed->rules[4].text() == "component 'vision', pattern '*.fc1' -> int8-channel");
}

TEST_CASE("recipe: what is written is read back", "[plan]") {
  vq::recipe odd{"a \"quoted\" name", "", {{.pattern = "a\\b\n*", .format = "bf16"}}};
  odd.rules.push_back({.part = vq::component::text_tower,
                       .format = "int8-channel",
                       .optional = true,
                       .convolutions = true});
  const auto read = vq::parse_recipe(vq::format_recipe(odd), "r.json");
  REQUIRE(read);
  CHECK(*read == odd);
}

TEST_CASE("recipe: each refusal names file, rule and field", "[plan]") {
  CHECK(refusal("") == "r.json: not valid JSON in UTF-8");
  CHECK(refusal(R"({"name": "a", "name": "b"})") == "r.json: 'name' occurs twice");
  CHECK(refusal("[]") == "r.json: a recipe is a JSON object");
  CHECK(refusal(R"({"rules": []})") == "r.json: the field 'name' must be a text that is not empty");
  CHECK(refusal(R"({"name": "r"})") ==
        "r.json: the field 'rules' must be a list with at least one rule");
  CHECK(refusal(R"({"name": "r", "rules": []})") ==
        "r.json: the field 'rules' must be a list with at least one rule");
  CHECK(refusal(R"({"name": "r", "about": 1, "rules": [1]})") == "r.json: 'about' must be a text");
  CHECK(refusal(R"({"name": "r", "rule": [1]})") ==
        "r.json: unknown field 'rule'; known are name, about, rules");
  CHECK(refusal_of_rule("7") == "r.json: rule 2: a rule is a JSON object");
  CHECK(refusal_of_rule(R"({"component": "llm", "format": "keep"})") ==
        "r.json: rule 2: unknown component 'llm'; known are vision, connector, cross_attention, "
        "language_model, text_tower, audio, head, embedding, scalar");
  CHECK(refusal_of_rule(R"({"format": "keep"})") ==
        "r.json: rule 2: a component or a pattern is needed");
  CHECK(refusal_of_rule(R"({"component": "vision"})") ==
        "r.json: rule 2: 'format' must be a text: a format, or keep, f32, f16, bf16");
  CHECK(refusal_of_rule(R"({"component": "vision", "format": "keep", "optional": 1})") ==
        "r.json: rule 2: 'optional' must be true or false");
  CHECK(refusal_of_rule(R"({"component": "vision", "formats": "keep"})") ==
        "r.json: rule 2: unknown field 'formats'; known are component, pattern, format, optional, "
        "convolutions");
}

TEST_CASE("recipe: built-in recipes are found by name and survive being written", "[plan]") {
  for (const std::string_view name : vq::built_in_recipe_names) {
    CAPTURE(name);
    const auto built_in = vq::built_in_recipe(name);
    REQUIRE(built_in);
    CHECK(built_in->name == name);
    CHECK_FALSE(built_in->about.empty());
    const auto read = vq::parse_recipe(vq::format_recipe(*built_in), "r.json");
    REQUIRE(read);
    CHECK(*read == *built_in);
  }
  const auto unknown = vq::built_in_recipe("vlm");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == vq::status::not_found);
  CHECK(vq::describe(unknown.error()).find("built in are vlm-asymmetric,") != std::string::npos);
}

TEST_CASE("recipe: a name that is no built-in recipe may be a file", "[plan]") {
  const files::folder folder;
  vq::recipe mine{"mine", "about", {{.part = vq::component::vision}}};
  files::write(folder / "mine.json", vq::format_recipe(mine));
  const auto read = vq::find_recipe((folder / "mine.json").string());
  REQUIRE(read);
  CHECK(*read == mine);
  CHECK(vq::find_recipe("all-nf4")->name == "all-nf4");
  const auto missing = vq::find_recipe((folder / "none.json").string());
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == vq::status::not_found);
}
