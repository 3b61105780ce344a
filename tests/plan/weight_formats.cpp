// Names and sizes of the weight formats.
#include <set>
#include <string>
#include <vector>

#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"

namespace {

std::uint64_t bytes(std::string_view format, const std::vector<vq::index_type>& shape) {
  const auto found = vq::stored_bytes<vq::weight_formats>(format, shape);
  REQUIRE(found);
  return *found;
}

struct halves {  // the two levels -1 and 1
  static constexpr const char* name = "sign";
  static constexpr int bits = 2;
  using code_type = std::int8_t;
  using param_type = vq::scale_param;
  constexpr param_type fit(vq::range r) const noexcept { return {r.absmax()}; }
  constexpr float encode(float x, param_type) const noexcept { return x < 0 ? -1.f : 1.f; }
  constexpr float decode(float code, param_type p) const noexcept { return code * p.scale; }
};

}  // namespace

TEST_CASE("weight_formats: every format has a name of its own and is found by it", "[plan]") {
  std::set<std::string> names;
  for (const vq::weight_format& f : vq::formats_of<vq::weight_formats>()) {
    CAPTURE(f.name);
    CHECK(names.insert(f.name).second);
    CHECK_FALSE(vq::is_unquantized(f.name));
    CHECK(vq::visit_format<vq::weight_formats>(f.name, [&](auto q) {
      CHECK(vq::format_name<decltype(q)>() == f.name);
      CHECK(decltype(q)::policy_type::bits == f.bits);
    }));
  }
  for (const char* expected : {"nf4-block64-dq256", "nf4-block64", "fp4-block4096", "int8-channel",
                               "int8-tensor", "int6-channel", "int5-tensor", "int4-group32",
                               "int3-tensor", "int2-channel", "int3-group128", "e4m3-channel"}) {
    CAPTURE(expected);
    CHECK(names.contains(expected));
  }
  CHECK(vq::weight_formats::size == 56);
  CHECK_FALSE(vq::visit_format<vq::weight_formats>("nf4", [](auto) {}));
}

TEST_CASE("weight_formats: sizes of a 4096 x 4096 weight", "[plan]") {
  const std::vector<vq::index_type> shape{4096, 4096};
  const std::uint64_t n = 4096 * 4096;
  // Codes 8,388,608 B; absmax 262,144 as bytes or floats; nested_absmax 1,024 floats; two tables.
  CHECK(bytes("nf4-block64-dq256", shape) == 8'388'608 + 262'144 + 4096 + 1024 + 64);
  CHECK(bytes("nf4-block64", shape) == 8'388'608 + 262'144 * 4 + 64);
  CHECK(bytes("fp4-block128", shape) == n / 2 + n / 128 * 4 + 64);
  CHECK(bytes("int8-channel", shape) == n + 4096 * 4);
  CHECK(bytes("int8-tensor", shape) == n + 4);
  CHECK(bytes("int4-group32", shape) == n / 2 + n / 32 * 4);
  CHECK(bytes("int6-channel", shape) == n / 8 * 6 + 4096 * 4);
  CHECK(bytes("int5-tensor", shape) == n / 8 * 5 + 4);
  CHECK(bytes("int3-tensor", shape) == n / 8 * 3 + 4);
  CHECK(bytes("int2-channel", shape) == n / 4 + 4096 * 4);
  CHECK(bytes("e4m3-channel", shape) == n + 4096 * 4);
  CHECK_FALSE(vq::stored_bytes<vq::weight_formats>("int7-tensor", shape));
}

TEST_CASE("weight_formats: odd sizes and short groups count in full", "[plan]") {
  CHECK(bytes("nf4-block64", {3, 43}) == 65 + 3 * 4 + 64);  // 129 codes in 65 bytes, 3 blocks
  CHECK(bytes("nf4-block64-dq256", {3, 43}) == 65 + 3 + 4 + 1024 + 64);
  CHECK(bytes("int4-group32", {2, 33}) == 33 + 2 * 2 * 4);      // two groups in each row
  CHECK(bytes("int4-group32", {16, 3, 3, 3}) == 216 + 16 * 4);  // groups run over 3 * 3 * 3
  CHECK(bytes("int8-channel", {16, 3, 3, 3}) == 432 + 16 * 4);
  CHECK(bytes("int8-channel", {5}) == 5 + 5 * 4);
  CHECK(bytes("int8-channel", {0, 8}) == 0);
}

TEST_CASE("weight_formats: what bitsandbytes can hold", "[plan]") {
  for (const vq::weight_format& f : vq::formats_of<vq::weight_formats>()) {
    CAPTURE(f.name);
    const bool expected =
        f.name.starts_with("nf4") || f.name.starts_with("fp4") || f.name == "int8-channel";
    CHECK(f.bitsandbytes == expected);
  }
}

TEST_CASE("weight_formats: a format of one's own is named after its policy", "[plan]") {
  using mine = vq::menu<vq::quantizer<halves, vq::per_channel<0>>,
                        vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<0>>>;
  const auto formats = vq::formats_of<mine>();
  REQUIRE(formats.size() == 2);
  CHECK(formats[0].name == "sign-channel");
  CHECK(formats[0].stored_bytes({8, 10}) == 20 + 8 * 4);
  CHECK(formats[1].name == "uniform_asymmetric-channel");
  CHECK(formats[1].stored_bytes({8, 10}) == 80 + 8 * 8);  // scales and zero points
}

TEST_CASE("weight_format: an unknown name is answered with those that begin like it", "[plan]") {
  const auto formats = vq::formats_of<vq::weight_formats>();
  const std::string text = vq::unknown_format(formats, "int3");
  CHECK(text.find("'int3' is unknown") != std::string::npos);
  CHECK(text.find("int3-channel") != std::string::npos);
  CHECK(text.find("int8-channel") == std::string::npos);
  CHECK(vq::unknown_format({}, "x").find("of the menu") != std::string::npos);
}
