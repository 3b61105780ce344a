#include <cmath>
#include <string>

#include <vq/plan/layer_times.hpp>

#include "catch.hpp"

namespace {

vq::result<vq::layer_times, vq::failure> parsed(const std::string& text) {
  const auto document = vq::parse_json(text, "times.json");
  if (!document) return document.error();
  return vq::parse_layer_times(*document, "times.json");
}

vq::tensor_info weight(const char* name) { return {name, vq::dtype::f32, {8, 8}}; }

}  // namespace

TEST_CASE("layer times: of a weight by the name of its layer", "[plan]") {
  const auto times = parsed(R"({"vq_times": 1, "unit": "ms",
    "layers": {"a.fc1": {"int8-channel": 0.25, "keep": 2}, "a.fc2": {"int8-channel": 0}}})");
  REQUIRE(times);
  CHECK(times->unit == "ms");
  CHECK((*times)(weight("a.fc1.weight"), "int8-channel") == 0.25);
  CHECK((*times)(weight("a.fc1.weight"), "keep") == 2);
  CHECK((*times)(weight("a.fc2.weight"), "int8-channel") == 0);
}

TEST_CASE("layer times: what is not named takes infinitely long", "[plan]") {
  const auto times = parsed(R"({"vq_times": 1, "layers": {"a.fc1": {"int8-channel": 1}}})");
  REQUIRE(times);
  CHECK(std::isinf((*times)(weight("a.fc1.weight"), "int4-channel")));
  CHECK(std::isinf((*times)(weight("a.fc2.weight"), "int8-channel")));
}

TEST_CASE("layer times: a table that is wrong is refused with the file and the place", "[plan]") {
  const auto refused = [](const std::string& text, const std::string& place) {
    const auto times = parsed(text);
    return !times && times.error().message.starts_with("times.json: ") &&
           times.error().message.find(place) != std::string::npos;
  };
  CHECK(refused("[]", "vq_times"));
  CHECK(refused(R"({"vq_times": 2, "layers": {}})", "vq_times"));
  CHECK(refused(R"({"vq_times": 1})", "layers"));
  CHECK(refused(R"({"vq_times": 1, "unit": 3, "layers": {}})", "unit"));
  CHECK(refused(R"({"vq_times": 1, "layers": {"a": 3}})", "'a'"));
  CHECK(refused(R"({"vq_times": 1, "layers": {"a": {"keep": -1}}})", "'keep'"));
  CHECK(refused(R"({"vq_times": 1, "layers": {"a": {"keep": "1"}}})", "'keep'"));
}
