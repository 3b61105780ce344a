#include <string>

#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>

#include "catch.hpp"

TEST_CASE("failure: without a message the status speaks", "[io]") {
  CHECK(vq::describe(vq::failure{vq::status::io_error, "f: broken"}) == "f: broken");
  CHECK(vq::describe(vq::failure{vq::status::not_found, ""}) ==
        vq::describe(vq::status::not_found));
}

TEST_CASE("failure: names are quoted, shortened and harmless", "[io]") {
  CHECK(vq::in_quotes("a.weight") == "'a.weight'");
  CHECK(vq::in_quotes(std::string("\0\t\x7f", 3)) == "'\\x00\\x09\\x7f'");
  CHECK(vq::in_quotes(std::string(121, 'a')) == "'" + std::string(120, 'a') + "...'");
  CHECK(vq::sentence("a", 1, std::string("b"), -2) == "a1b-2");
}

TEST_CASE("dtype: names and sizes of the format, both ways", "[io]") {
  for (std::size_t i = 0; i < vq::dtype_table.size(); ++i) {
    const auto type = static_cast<vq::dtype>(i);
    CHECK(vq::dtype_from_name(vq::name_of(type)) == type);
  }
  STATIC_REQUIRE_FALSE(vq::dtype_from_name("f32").has_value());
  STATIC_REQUIRE(vq::name_of(vq::dtype::f32) == "F32");
  STATIC_REQUIRE(vq::name_of(vq::dtype::u64) == "U64");
  STATIC_REQUIRE(vq::name_of(vq::dtype::boolean) == "BOOL");
  STATIC_REQUIRE(vq::name_of(vq::dtype::f8_e5m2fnuz) == "F8_E5M2FNUZ");
  STATIC_REQUIRE(vq::bits_of(vq::dtype::c64) == 64);
  STATIC_REQUIRE(vq::bits_of(vq::dtype::f6_e3m2) == 6);
  STATIC_REQUIRE(vq::dtype_of<vq::bfloat16>::value == vq::dtype::bf16);
  STATIC_REQUIRE(!vq::storable<bool> && vq::storable<float>);
}
