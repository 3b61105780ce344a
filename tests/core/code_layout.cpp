#include <cstdint>
#include <vector>

#include <vq/core/code_layout.hpp>

#include "catch.hpp"

namespace {

// Stores all values of Bits bits in a scrambled order of values and reads them back.
template <class Layout, class Code, int Bits>
void round_trip() {
  constexpr int low = std::is_signed_v<Code> ? -(1 << (Bits - 1)) : 0;
  const vq::index_type count = 5 * (1 << Bits) + 3;
  using stored_type = typename Layout::template stored_type<Code>;
  std::vector<stored_type> stored(static_cast<std::size_t>(Layout::size(count)),
                                  static_cast<stored_type>(-1));
  const auto code = [](vq::index_type i) {
    return static_cast<Code>(low + static_cast<int>(i * 7 % (1 << Bits)));
  };
  for (vq::index_type i = 0; i < count; ++i) Layout::store(stored.data(), i, code(i));
  for (vq::index_type i = 0; i < count; ++i) {
    REQUIRE(Layout::template load<Code>(stored.data(), i) == code(i));
  }
}

}  // namespace

TEST_CASE("code_layout: every layout returns the codes it was given", "[core]") {
  round_trip<vq::bytes, std::int8_t, 8>();
  round_trip<vq::bytes, std::uint8_t, 8>();
  round_trip<vq::nibbles_high_first, std::int8_t, 4>();
  round_trip<vq::nibbles_high_first, std::uint8_t, 4>();
  round_trip<vq::nibbles_low_first, std::int8_t, 4>();
  round_trip<vq::bit_packed<1>, std::uint8_t, 1>();
  round_trip<vq::bit_packed<2>, std::int8_t, 2>();
  round_trip<vq::bit_packed<3>, std::int8_t, 3>();
  round_trip<vq::bit_packed<3>, std::uint8_t, 3>();
  round_trip<vq::bit_packed<5>, std::int8_t, 5>();
  round_trip<vq::bit_packed<6>, std::int8_t, 6>();
  round_trip<vq::bit_packed<7>, std::uint8_t, 7>();
  round_trip<vq::bit_packed<8>, std::int8_t, 8>();
}

TEST_CASE("code_layout: bytes are as documented", "[core]") {
  std::uint8_t high[2] = {}, low[2] = {}, three[2] = {};
  const std::uint8_t codes[3] = {1, 2, 7};
  for (vq::index_type i = 0; i < 3; ++i) {
    vq::nibbles_high_first::store(high, i, codes[i]);
    vq::nibbles_low_first::store(low, i, codes[i]);
    vq::bit_packed<3>::store(three, i, codes[i]);
  }
  CHECK(high[0] == 0x12);
  CHECK(high[1] == 0x70);
  CHECK(low[0] == 0x21);
  CHECK(low[1] == 0x07);
  CHECK(three[0] == (1 | 2 << 3 | (7 & 3) << 6));
  CHECK(three[1] == 7 >> 2);
}

TEST_CASE("code_layout: unused bits of the last byte are zero whatever was there", "[core]") {
  std::uint8_t stored[2] = {0xff, 0xff};
  for (vq::index_type i = 0; i < 3; ++i) vq::nibbles_high_first::store(stored, i, std::uint8_t{5});
  CHECK(stored[1] == 0x50);
  std::uint8_t packed[2] = {0xff, 0xff};
  for (vq::index_type i = 0; i < 3; ++i) vq::bit_packed<3>::store(packed, i, std::uint8_t{7});
  CHECK(packed[1] == 0x01);
}

TEST_CASE("code_layout: sizes count stored elements", "[core]") {
  STATIC_REQUIRE(vq::bytes::size(5) == 5);
  STATIC_REQUIRE(vq::nibbles_high_first::size(5) == 3);
  STATIC_REQUIRE(vq::bit_packed<3>::size(8) == 3);
  STATIC_REQUIRE(vq::bit_packed<3>::size(9) == 4);
  STATIC_REQUIRE(vq::bit_packed<6>::size(0) == 0);
}
