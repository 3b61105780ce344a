#include <vector>

#include <vq/policy/uniform.hpp>
#include <vq/quantizer/menu.hpp>

#include "catch.hpp"

using formats = vq::menu<vq::quantizer<vq::uniform<8>, vq::per_channel<0>>,
                         vq::quantizer<vq::uniform<4>, vq::per_group<32>>>;

TEST_CASE("menu: a number chooses a type", "[quantizer]") {
  STATIC_REQUIRE(formats::size == 2);
  int bits = 0;
  CHECK(formats::visit(1, [&](auto q) { bits = decltype(q)::policy_type::bits; }));
  CHECK(bits == 4);
  CHECK_FALSE(formats::visit(2, [&](auto) { bits = -1; }));
  CHECK_FALSE(formats::visit(-1, [&](auto) { bits = -1; }));
  CHECK(bits == 4);
}

TEST_CASE("menu: for_each visits the entries in order", "[quantizer]") {
  std::vector<int> bits;
  formats::for_each([&](vq::index_type i, auto q) {
    CHECK(i == static_cast<vq::index_type>(bits.size()));
    bits.push_back(decltype(q)::policy_type::bits);
  });
  CHECK(bits == std::vector<int>{8, 4});
}
