#include <limits>
#include <random>
#include <string>

#include <vq/io/calibration_table.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

std::string refusal(std::string_view text) {
  const auto table = vq::parse_calibration_table(text, "t");
  if (table) return "";
  CHECK(table.error().code == vq::status::bad_format);
  return vq::describe(table.error());
}
std::string with_tensor(const std::string& entry) {
  return R"({"format": "vq-calibration-table", "version": 1, "tensors": {"x": )" + entry + "}}";
}

}  // namespace

TEST_CASE("calibration_table: the text is one line per tensor", "[io]") {
  const vq::calibration_table table{{"relu1", {{0, 6}, 0.5f, -128}}, {"a\"b", {{-1.5f, 1}, 2, 0}}};
  const auto text = vq::format_calibration_table(table, "t");
  REQUIRE(text);
  CHECK(*text ==
        "{\"format\": \"vq-calibration-table\", \"version\": 1, \"tensors\": {\n"
        "\"a\\\"b\": {\"lowest\": -1.5, \"highest\": 1.0, \"scale\": 2.0, \"zero_point\": 0},\n"
        "\"relu1\": {\"lowest\": 0.0, \"highest\": 6.0, \"scale\": 0.5, \"zero_point\": -128}\n"
        "}}\n");
  CHECK(vq::parse_calibration_table(*text, "t").value() == table);
  const auto empty = vq::format_calibration_table({}, "t");
  REQUIRE(empty);
  CHECK(vq::parse_calibration_table(*empty, "t")->empty());
}

TEST_CASE("calibration_table: every float comes back as it was", "[io]") {
  const files::folder folder;
  vq::calibration_table table;
  std::mt19937 random(7);
  const auto any_float = [&] {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    return x - x == 0 ? x : 1.f;
  };
  for (int i = 0; i < 2000; ++i) {
    const float a = any_float(), b = any_float();
    const float scale = std::abs(any_float());
    table["tensor/" + std::to_string(i)] = {{std::min(a, b), std::max(a, b)},
                                            scale > 0 ? scale : 1.f,
                                            static_cast<std::int32_t>(random())};
  }
  table["extremes"] = {{-std::numeric_limits<float>::max(), std::numeric_limits<float>::max()},
                       std::numeric_limits<float>::denorm_min(),
                       std::numeric_limits<std::int32_t>::min()};
  const auto size = vq::write_calibration_table(folder / "t.json", table);
  REQUIRE(size);
  CHECK(*size == files::read(folder / "t.json").size());
  const auto read = vq::read_calibration_table(folder / "t.json");
  REQUIRE(read);
  const bool same = *read == table;
  CHECK(same);
}

TEST_CASE("calibration_table: ranges that mean nothing are not written", "[io]") {
  const auto refused = [](const std::string& name, vq::calibrated_tensor t) {
    const auto text = vq::format_calibration_table({{name, t}}, "t");
    REQUIRE_FALSE(text);
    CHECK(text.error().code == vq::status::bad_argument);
    return vq::describe(text.error());
  };
  CHECK(refused("x", {{1, 0}, 1, 0}) == "t: tensor 'x': lowest is above highest");
  CHECK(refused("x", {{0, inf}, 1, 0}) ==
        "t: tensor 'x': lowest and highest must be finite floats");
  CHECK(refused("x", {{std::numeric_limits<float>::quiet_NaN(), 1}, 1, 0}) ==
        "t: tensor 'x': lowest and highest must be finite floats");
  CHECK(refused("x", {{0, 1}, 0, 0}) == "t: tensor 'x': scale must be a finite float above zero");
  CHECK(refused("x", {{0, 1}, inf, 0}) == "t: tensor 'x': scale must be a finite float above zero");
  CHECK(refused("\xff", {{0, 1}, 1, 0}) == "t: tensor '\xff': the name is not UTF-8");
}

TEST_CASE("calibration_table: a malformed table is refused with its tensor", "[io]") {
  const std::string good = R"({"lowest": 0, "highest": 1, "scale": 1, "zero_point": 0})";
  CHECK(refusal(with_tensor(good)) == "");
  CHECK(refusal(with_tensor(
            R"({"more": {}, "lowest": 0, "highest": 1, "scale": 1, "zero_point": 0})")) == "");
  CHECK(refusal("") == "t: not valid JSON in UTF-8");
  CHECK(refusal("{") == "t: not valid JSON in UTF-8");
  CHECK(refusal(std::string(100'000, '[')) == "t: values are nested deeper than 64");
  CHECK(refusal("[]") == "t: must be a JSON object");
  CHECK(refusal("{}") == "t: not a vq-calibration-table");
  CHECK(refusal(R"({"format": "vq-calibration-table", "version": 2, "tensors": {}})") ==
        "t: version must be 1");
  CHECK(refusal(R"({"format": "vq-calibration-table", "version": 1, "tensors": []})") ==
        "t: tensors must be an object");
  CHECK(
      refusal(R"({"format": "vq-calibration-table", "version": 1, "tensors": {"x": 1, "x": 1}})") ==
      "t: 'x' occurs twice");
  CHECK(refusal(with_tensor("3")) == "t: tensor 'x': must be an object");
  CHECK(refusal(with_tensor(R"({"lowest": "0", "highest": 1, "scale": 1, "zero_point": 0})")) ==
        "t: tensor 'x': lowest must be a number");
  CHECK(refusal(with_tensor(R"({"lowest": 0, "scale": 1, "zero_point": 0})")) ==
        "t: tensor 'x': highest must be a number");
  CHECK(refusal(with_tensor(R"({"lowest": 0, "highest": 1e39, "scale": 1, "zero_point": 0})")) ==
        "t: tensor 'x': lowest and highest must be finite floats");
  CHECK(refusal(with_tensor(R"({"lowest": 2, "highest": 1, "scale": 1, "zero_point": 0})")) ==
        "t: tensor 'x': lowest is above highest");
  CHECK(refusal(with_tensor(R"({"lowest": 0, "highest": 1, "scale": 0, "zero_point": 0})")) ==
        "t: tensor 'x': scale must be a finite float above zero");
  CHECK(refusal(with_tensor(R"({"lowest": 0, "highest": 1, "scale": 1, "zero_point": 0.5})")) ==
        "t: tensor 'x': zero_point must be a 32-bit integer");
  const auto with_zero_point = [](const std::string& number) {
    return refusal(
        with_tensor(R"({"lowest": 0, "highest": 1, "scale": 1, "zero_point": )" + number + "}"));
  };
  for (const char* inside : {"2147483647", "-2147483648"}) {
    CHECK(with_zero_point(inside) == "");
  }
  for (const char* beyond : {"2147483648", "-2147483649", "4294967296", "18446744073709551615"}) {
    CAPTURE(beyond);
    CHECK(with_zero_point(beyond) == "t: tensor 'x': zero_point must be a 32-bit integer");
  }
  CHECK(refusal(with_tensor(R"({"lowest": 0, "highest": 1, "scale": 1})")) ==
        "t: tensor 'x': zero_point must be a 32-bit integer");
}
