#include <array>
#include <vector>

#include <vq/nn/weights.hpp>

#include "catch.hpp"

namespace {

using view = vq::tensor_view<const std::int8_t, 4>;

// Firmware packs at compile time: 2 outputs of 2 inputs are a panel of 16 columns by 4 steps.
constexpr bool packs_in_a_constant_expression() {
  const std::array<std::int8_t, 4> w{1, -2, 3, -4};
  std::array<std::int8_t, 64> codes{};
  std::array<std::int32_t, 2> sums{};
  const auto p = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 2>{w.data(), {2, 2}}, codes, sums);
  return p.has_value() && codes[0] == 1 && codes[1] == -2 && codes[2] == 0 && codes[4] == 3 &&
         codes[5] == -4 && codes[8] == 0 && sums[0] == -1 && sums[1] == -1;
}
static_assert(packs_in_a_constant_expression());

}  // namespace

TEST_CASE("pack_weights: the memory order of the weights does not matter", "[nn]") {
  constexpr vq::index_type o = 18, i = 5, h = 3, w = 2;
  std::vector<std::int8_t> oihw(o * i * h * w), ohwi(oihw.size());
  const vq::tensor_view<std::int8_t, 4> rows{oihw.data(), {o, i, h, w}};
  const vq::tensor_view<std::int8_t, 4> last{ohwi.data(), {o, i, h, w}, {h * w * i, 1, w * i, i}};
  std::int8_t next = 0;
  for (vq::index_type a = 0; a < o; ++a) {
    for (vq::index_type b = 0; b < i; ++b) {
      for (vq::index_type c = 0; c < h; ++c) {
        for (vq::index_type d = 0; d < w; ++d) {
          rows(a, b, c, d) = last(a, b, c, d) = next;
          next = static_cast<std::int8_t>(next * 5 + 3);
        }
      }
    }
  }
  const auto need = vq::packed_size({o, i, h, w});
  CHECK(need.codes == 32 * h * w * 8);  // outputs to 16, inputs to 4
  CHECK(need.sums == o);
  std::vector<std::int8_t> first(static_cast<std::size_t>(need.codes)), second(first.size());
  std::vector<std::int32_t> sums(o), same(o);
  REQUIRE(vq::pack_weights<std::int8_t>(rows, 1, first, sums));
  REQUIRE(vq::pack_weights<std::int8_t>(last, 1, second, same));
  CHECK(first == second);
  CHECK(sums == same);
}

TEST_CASE("pack_weights: panels have 64 columns, the last one whole blocks of 16", "[nn]") {
  constexpr vq::index_type outputs = 100, inputs = 6;
  std::vector<std::int8_t> w(outputs * inputs);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<std::int8_t>(i * 37 % 251);
  const auto need = vq::packed_size(vq::shape_type<2>{outputs, inputs});
  REQUIRE(need.codes == 112 * 8);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(outputs);
  const vq::tensor_view<const std::int8_t, 2> v{w.data(), {outputs, inputs}};
  REQUIRE(vq::pack_weights<std::int8_t>(v, codes, sums));
  for (vq::index_type n = 0; n < 112; ++n) {
    for (vq::index_type k = 0; k < 8; ++k) {
      const vq::index_type begin = n / 64 * 64, width = begin == 0 ? 64 : 48;
      const vq::index_type at = begin * 8 + k / 4 * width * 4 + (n - begin) * 4 + k % 4;
      const int want = n < outputs && k < inputs ? v(n, k) : 0;
      REQUIRE(codes[static_cast<std::size_t>(at)] == want);
    }
  }
}

TEST_CASE("pack_weights: depthwise kernels lie column by column, in interleaved channels", "[nn]") {
  const vq::shape_type<4> shape{20, 1, 3, 3};
  CHECK(vq::packed_size(shape, 20).codes == 3 * 4 * 32);  // rows to 4, channels to 32
  CHECK(vq::packed_size(shape, 1).codes == 32 * 9 * 4);
  CHECK(vq::packed_size({64 + 33, 1, 5, 1}, 64 + 33).codes == 8 * 128);
  std::vector<std::int8_t> w(20 * 9), codes(3 * 4 * 32);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<std::int8_t>(i % 127 + 1);
  std::vector<std::int32_t> sums(20);
  REQUIRE(vq::pack_weights<std::int8_t>({w.data(), shape}, 20, codes, sums));
  // Channel 16 l + 4 q + c of 32 stands at place 8 q + 4 l + c; row 1 of column 2 is step 2 * 4 + 1.
  CHECK(codes[2 * 128 + 4 * (8 * 1 + 4 * 1 + 0) + 1] == 0);  // channel 20 is none
  CHECK(codes[2 * 128 + 4 * (8 * 0 + 4 * 1 + 3) + 1] == w[19 * 9 + 5]);
  CHECK(codes[2 * 128 + 4 * (8 * 3 + 4 * 0 + 2) + 1] == w[14 * 9 + 5]);
  CHECK(codes[2 * 128 + 4 * (8 * 3 + 4 * 0 + 2) + 3] == 0);  // the fourth row
}

TEST_CASE("pack_weights: unsigned codes are stored around zero", "[nn]") {
  const std::vector<std::uint8_t> w{0, 128, 255, 130};
  const std::vector<std::int32_t> middle{128}, other{100};
  std::vector<std::int8_t> codes(64);
  std::vector<std::int32_t> sums(1);
  const vq::tensor_view<const std::uint8_t, 2> v{w.data(), {1, 4}};
  const auto symmetric = vq::pack_weights<std::uint8_t>(v, codes, sums, middle);
  REQUIRE(symmetric);
  CHECK(codes[0] == -128);
  CHECK(codes[1] == 0);
  CHECK(codes[2] == 127);
  CHECK(sums[0] == 1);
  CHECK_FALSE(symmetric->has_zero_points());  // 128 is free
  const auto shifted = vq::pack_weights<std::uint8_t>(v, codes, sums, other);
  REQUIRE(shifted);
  CHECK(shifted->zero_point(0) == -28);
  CHECK(vq::pack_weights<std::uint8_t>(v, codes, sums)->zero_point(0) == -128);
}

TEST_CASE("pack_weights: what does not fit is refused", "[nn]") {
  std::vector<std::int8_t> w(6 * 2 * 3 * 3), codes(16 * 9 * 4);
  std::vector<std::int32_t> sums(6);
  const view v{w.data(), {6, 2, 3, 3}};
  const auto pack = [&](vq::index_type groups, auto& c, auto& s,
                        vq::channel_values<std::int32_t> zero = {}) {
    const auto p = vq::pack_weights<std::int8_t>(v, groups, c, s, zero);
    return p ? vq::status::ok : p.error();
  };
  CHECK(pack(1, codes, sums) == vq::status::ok);
  CHECK(pack(4, codes, sums) == vq::status::bad_argument);
  CHECK(pack(0, codes, sums) == vq::status::bad_argument);
  CHECK(pack(2, codes, sums) == vq::status::too_few_codes);  // each group has blocks of its own
  std::vector<std::int32_t> five(5);
  CHECK(pack(1, codes, five) == vq::status::too_few_params);
  CHECK(pack(1, codes, sums, five) == vq::status::too_few_params);
  const view nothing{w.data(), {6, 0, 3, 3}};
  CHECK(vq::pack_weights<std::int8_t>(nothing, 1, codes, sums).error() ==
        vq::status::size_mismatch);
}

TEST_CASE("pack_weights: sums that an int32 might not hold are refused", "[nn]") {
  constexpr vq::index_type most = 65793, with_zero_points = 33025;
  const std::vector<std::int8_t> w(most + 1, 127);
  std::vector<std::int8_t> codes(16 * (most + 4));
  std::vector<std::int32_t> sums(1);
  const std::vector<std::int32_t> zero{1};
  const auto pack = [&](vq::index_type depth, vq::channel_values<std::int32_t> z) {
    const auto p = vq::pack_weights<std::int8_t>(
        vq::tensor_view<const std::int8_t, 2>{w.data(), {1, depth}}, codes, sums, z);
    return p ? vq::status::ok : p.error();
  };
  CHECK(pack(most, {}) == vq::status::ok);
  CHECK(pack(most + 1, {}) == vq::status::overflow);
  CHECK(pack(with_zero_points, zero) == vq::status::ok);
  CHECK(pack(with_zero_points + 1, zero) == vq::status::overflow);
}
