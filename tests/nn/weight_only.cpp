#include <cmath>
#include <limits>
#include <vector>

#include <vq/nn/weight_only.hpp>
#include <vq/policy/fp4.hpp>
#include <vq/policy/minifloat.hpp>
#include <vq/policy/nf4.hpp>

#include "catch.hpp"
#include "weight_only_cases.hpp"

using vq::index_type;
namespace cases = weight_only_cases;

namespace {

using int4 = vq::quantizer<vq::uniform<4>, vq::per_group<32>>;
using int4_asymmetric = vq::quantizer<vq::uniform<4, vq::asymmetric>, vq::per_group<40>>;
using nf4 = vq::quantizer<vq::nf4, vq::per_block<64>>;
using int8_by_output = vq::quantizer<vq::uniform<8>, vq::per_channel<0>>;

template <class Table>
vq::weight_only_format with_levels(const Table& levels) {
  vq::weight_only_format f;
  for (std::size_t i = 0; i < 16; ++i) f.levels[i] = levels[i];
  vq::find_integer_levels(f);
  return f;
}

}  // namespace

TEST_CASE("weight_only: the layout of 4-bit codes is the documented one", "[nn]") {
  // Two blocks of 8 inputs; output 1 has the codes 0..7 and 15..8.
  constexpr vq::quantizer<vq::nf4, vq::per_group<8>> q;
  const std::vector<std::uint8_t> codes{0,    0,    0,    0,    0,    0,    0,    0,
                                        0x01, 0x23, 0x45, 0x67, 0xfe, 0xdc, 0xba, 0x98};
  const std::vector<vq::scale_param> params{{1.f}, {2.f}, {0.5f}, {-3.f}};
  const vq::shape_type<2> extents{2, 16};
  const auto size = vq::weight_only_size(q, extents, vq::scale_format::bfloat16);
  REQUIRE(size == 2 * (64 * 4 + 64 * 2));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size), 9);
  REQUIRE(vq::pack_weight_only(q, extents, codes, params, bytes, vq::scale_format::bfloat16));
  const auto part = [&](std::size_t from, std::size_t count) {
    return std::vector<std::uint8_t>(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(from + count));
  };
  using bytes_type = std::vector<std::uint8_t>;
  CHECK(part(0, 12) == bytes_type{0, 0, 0, 0, 0x20, 0x64, 0x31, 0x75, 0, 0, 0, 0});
  CHECK(part(256, 6) == bytes_type{0x80, 0x3f, 0x00, 0x3f, 0, 0});  // 1 and 0.5
  CHECK(part(384 + 4, 4) == bytes_type{0xdf, 0x9b, 0xce, 0x8a});
  CHECK(part(384 + 256, 6) == bytes_type{0x00, 0x40, 0x40, 0xc0, 0, 0});  // 2 and -3
}

TEST_CASE("weight_only: the layout of 8-bit codes is the documented one", "[nn]") {
  constexpr vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  const std::vector<std::int8_t> codes{1, -2, 3, -4, 5};
  const std::vector<vq::affine_param> params{{0.5f, 0}};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(vq::weight_only_size(q, {1, 5})));
  REQUIRE(bytes.size() == 512 + 256);
  REQUIRE(vq::pack_weight_only(q, {1, 5}, codes, params, bytes));
  CHECK(bytes[0] == 129);  // k = 0 4 1 5
  CHECK(bytes[1] == 133);
  CHECK(bytes[2] == 126);
  CHECK(bytes[256] == 131);  // k = 2 6 3 7
  CHECK(bytes[258] == 124);
  CHECK(bytes[512 + 3] == 0x3f);  // 0.5f, little-endian
}

TEST_CASE("weight_only: zero points are stored beside the scales, codes from 0 on", "[nn]") {
  constexpr vq::quantizer<vq::uniform<4, vq::asymmetric>, vq::per_group<8>> q;
  const std::vector<std::uint8_t> codes{0x8f, 0x00, 0x00, 0x00};  // -8, -1, 0, ...
  const std::vector<vq::affine_param> params{{1.f, -3}};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(vq::weight_only_size(q, {1, 8})));
  REQUIRE(bytes.size() == 256 + 256 + 64);
  const auto w = vq::pack_weight_only(q, {1, 8}, codes, params, bytes);
  REQUIRE(w);
  CHECK(w->code_at(bytes.data(), 0, 0) == 0);
  CHECK(w->code_at(bytes.data(), 1, 0) == 7);
  CHECK(w->code_at(bytes.data(), 2, 0) == 8);
  CHECK(bytes[512] == 5);  // -3 + 8
}

TEST_CASE("weight_only: levels become integers, exactly where that is possible", "[nn]") {
  float grid[16];
  for (int i = 0; i < 16; ++i) grid[i] = static_cast<float>(i - 8);
  const auto int4_levels = with_levels(grid);
  CHECK(int4_levels.integer_unit == 1);
  CHECK(int4_levels.integer_levels[0] == -8);
  const float halves[16] = {0,    0.5f,  1,  1.5f,  2,  3,  4,  6,
                            -0.f, -0.5f, -1, -1.5f, -2, -3, -4, -6};  // OCP e2m1
  const auto e2m1 = with_levels(halves);
  CHECK(e2m1.integer_unit == 0.5f);
  CHECK(e2m1.integer_levels[7] == 12);
  CHECK(e2m1.integer_levels[15] == -12);

  // Any other table: the largest level is 64..127 units, and no level moves more than half of one.
  for (const auto& f : {with_levels(vq::nf4_table::levels), with_levels(vq::fp4_table::levels)}) {
    const float steps = 1 / f.integer_unit;
    CHECK(steps >= 63.99f);
    CHECK(steps <= 127.01f);
    for (int i = 0; i < 16; ++i) {
      CHECK(std::fabs(static_cast<float>(f.integer_levels[i]) * f.integer_unit - f.levels[i]) <=
            0.5001f * f.integer_unit);
    }
  }
}

TEST_CASE("weight_only: layers are within their bound of the definition", "[nn]") {
  cases::random r(3);
  using enum cases::products;
  for (int i = 0; i < random_cases(60); ++i) {
    CAPTURE(i);
    REQUIRE(cases::worst_error<int4, float, float>(vq::scalar, r, floats) <= 1);
    REQUIRE(cases::worst_error<nf4, vq::bfloat16, vq::bfloat16>(vq::scalar, r, bfloat16s) <= 1);
    REQUIRE(cases::worst_error<int8_by_output, vq::half, vq::half>(vq::scalar, r, floats) <= 1);
    REQUIRE(cases::worst_error<int4_asymmetric, float, float>(vq::scalar, r, integers) <= 1);
    REQUIRE(cases::worst_error<nf4, float, float>(vq::scalar, r, integers, cases::backwards{}) <=
            1);
  }
}

TEST_CASE("weight_only: many rows, in any order of tasks, are the rows alone", "[nn]") {
  cases::random r(5);
  cases::weights<int4> w(r, 70, 32, vq::scale_format::float32);
  const auto packed = w.pack();
  REQUIRE(packed);
  std::vector<float> x(260 * 32), y(260 * 70), alone(70);
  for (auto& v : x) v = r.normal();
  const vq::tensor_view<const float, 2> all{x.data(), {260, 32}};
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(vq::weight_only_workspace(vq::dynamic_int8, all, *packed, 3)));
  REQUIRE(vq::linear(vq::scalar, vq::dynamic_int8, all, *packed, {},
                     vq::tensor_view<float, 2>{y.data(), {260, 70}}, workspace,
                     cases::backwards{}) == vq::status::ok);
  for (const index_type m : {0, 65, 66, 259}) {
    const vq::tensor_view<const float, 2> row{x.data() + m * 32, {1, 32}};
    REQUIRE(vq::linear(vq::scalar, vq::dynamic_int8, row, *packed, {},
                       vq::tensor_view<float, 2>{alone.data(), {1, 70}},
                       workspace) == vq::status::ok);
    for (index_type n = 0; n < 70; ++n) {
      REQUIRE(alone[static_cast<std::size_t>(n)] == y[static_cast<std::size_t>(m * 70 + n)]);
    }
  }
}

TEST_CASE("weight_only: what does not fit is refused", "[nn]") {
  std::vector<std::uint8_t> codes(64), storage(4000);
  std::vector<vq::scale_param> params(16);
  const auto error = [&](const auto& q, const vq::shape_type<2>& extents) {
    const auto w = vq::pack_weight_only(q, extents, codes, params, storage);
    return w ? vq::status::ok : w.error();
  };
  using vq::status;
  CHECK(error(vq::quantizer<vq::nf4, vq::per_group<8>>{}, {4, 16}) == status::ok);
  CHECK(error(vq::quantizer<vq::nf4, vq::per_group<8>>{}, {4, 64}) == status::too_few_params);
  CHECK(error(vq::quantizer<vq::nf4, vq::per_tensor>{}, {4, 64}) == status::too_few_codes);
  CHECK(error(vq::quantizer<vq::nf4, vq::per_tensor>{}, {0, 64}) == status::size_mismatch);
  CHECK(error(vq::quantizer<vq::nf4, vq::per_block<64>>{}, {4, 24}) == status::bad_argument);
  CHECK(error(vq::quantizer<vq::nf4, vq::per_group<12>>{}, {4, 16}) == status::bad_argument);
  params[3].scale = 1e6f;
  const auto narrow = vq::pack_weight_only(vq::quantizer<vq::nf4, vq::per_group<8>>{}, {4, 16},
                                           codes, params, storage, vq::scale_format::half);
  REQUIRE(!narrow);
  CHECK(narrow.error() == status::overflow);

  const auto w = vq::pack_weight_only(vq::quantizer<vq::nf4, vq::per_group<8>>{}, {4, 16}, codes,
                                      params, storage);
  REQUIRE(w);
  std::vector<float> x(2 * 16), y(2 * 4), bias(3);
  const vq::tensor_view<const float, 2> in{x.data(), {2, 16}};
  const vq::tensor_view<float, 2> out{y.data(), {2, 4}};
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(vq::weight_only_workspace(vq::dynamic_int8, in, *w)));
  const std::span<std::byte> all(workspace);
  CHECK(vq::linear(vq::scalar, in, *w, bias, out, all) == status::too_few_params);
  CHECK(vq::linear(vq::scalar, vq::dynamic_int8, in, *w, {}, out, all.subspan(1)) ==
        status::too_little_workspace);
  const vq::tensor_view<const float, 2> narrower{x.data(), {2, 8}};
  CHECK(vq::linear(vq::scalar, narrower, *w, {}, out, all) == status::size_mismatch);
  x[20] = std::numeric_limits<float>::infinity();
  CHECK(vq::linear(vq::scalar, vq::dynamic_int8, in, *w, {}, out, all) == status::not_finite);
}
