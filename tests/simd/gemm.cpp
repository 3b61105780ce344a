// The integer kernels: every instruction set gives the integers of the reference.
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "nn/direct.hpp"

namespace {

using vq::index_type;
using native = vq::simd::native_t;

template <class T>
std::vector<T> random_codes(direct::random& r, index_type size) {
  std::vector<T> values(static_cast<std::size_t>(size));
  r.fill(values);
  return values;
}

}  // namespace

TEMPLATE_TEST_CASE("multiply_panel: exact for every number of rows, columns and steps", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(11);
  using wide = vq::kernel<vq::multiply_panel<TestType>, native>;
  for (index_type depth = 1; depth <= 21; ++depth) {
    for (index_type rows = 1; rows <= 19; ++rows) {
      for (index_type blocks = 1; blocks <= 6; ++blocks) {
        const index_type outer = r.between(1, 3), inner = r.between(1, 2);
        const index_type step = depth + r.between(0, 5);
        const auto a = random_codes<TestType>(r, rows * step + (outer + inner) * 40 + depth);
        const index_type b_step = 16 * ((depth + 3) / 4 * 4) * outer * inner;
        // Beyond the depth b is zero, as packing makes it.
        auto b = random_codes<std::int8_t>(r, blocks * b_step);
        const index_type padded = (depth + 3) / 4 * 4;
        for (index_type i = 0; i < blocks * b_step; ++i) {
          const index_type k = i / 64 * 4 % padded + i % 4;
          if (k >= depth) b[static_cast<std::size_t>(i)] = 0;
        }
        const auto start = random_codes<std::int32_t>(r, blocks * 16);
        const vq::code_rows<TestType> codes{.first = a.data(),
                                            .step = step,
                                            .count = rows,
                                            .depth = depth,
                                            .outer = outer,
                                            .outer_step = 40,
                                            .inner = inner,
                                            .inner_step = 17};
        // The exact sum of (a + shift) * b, modulo 2^32.
        std::vector<std::int32_t> want, got(static_cast<std::size_t>(rows * blocks * 16), 7);
        for (index_type m = 0; m < rows; ++m) {
          for (index_type n = 0; n < blocks * 16; ++n) {
            std::int64_t sum = start[static_cast<std::size_t>(n)];
            for (index_type k = 0; k < outer * inner * depth; ++k) {
              const index_type segment = k / depth, at = k % depth;
              const auto from = static_cast<std::size_t>(m * step + segment / inner * 40 +
                                                         segment % inner * 17 + at);
              const auto to = static_cast<std::size_t>(
                  n / 16 * b_step + (segment * padded + at) / 4 * 64 + n % 16 * 4 + at % 4);
              sum += (std::int64_t{a[from]} + wide::shift()) * b[to];
            }
            want.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(sum)));
          }
        }
        wide{}(codes, b.data(), b_step, blocks, start.data(), got.data(), blocks * 16);
        CAPTURE(depth, rows, blocks, outer, inner);
        REQUIRE(got == want);
      }
    }
  }
}

TEST_CASE("multiply_panel: the products that saturate 16 bits elsewhere are exact", "[simd]") {
  // 255 * 127 twice is 64770; vpmaddubsw would give 32767.
  const std::vector<std::uint8_t> a(64, 255);
  std::vector<std::int8_t> b(16 * 64, 127);
  const std::vector<std::int32_t> start(16, 0);
  std::vector<std::int32_t> c(16);
  using wide = vq::kernel<vq::multiply_panel<std::uint8_t>, native>;
  const std::int32_t by_shift = wide::shift() * 127;
  const auto multiply = [&](index_type depth) {
    const vq::code_rows<std::uint8_t> rows{.first = a.data(), .count = 1, .depth = depth};
    wide{}(rows, b.data(), 16 * 64, 1, start.data(), c.data(), 16);
    return c[5];
  };
  for (std::size_t i = 2; i < 4; ++i) {  // two steps of k: the others are zero
    for (std::size_t n = 0; n < 16; ++n) b[n * 4 + i] = 0;
  }
  CHECK(multiply(2) == 64770 + 2 * by_shift);
  b.assign(b.size(), 127);
  CHECK(multiply(64) == 64 * (255 * 127 + by_shift));
  b.assign(b.size(), -128);
  CHECK(multiply(64) == 64 * (255 + wide::shift()) * -128);
}

TEMPLATE_TEST_CASE("conv2d: every instruction set gives the accumulators of the definition",
                   "[simd]", std::int8_t, std::uint8_t) {
  direct::random r(13);
  for (int i = 0; i < 600; ++i) {
    std::int32_t status = 0;
    CAPTURE(i, status);
    REQUIRE(direct::agrees<TestType, std::int8_t>(vq::simd::native, r, status));
    REQUIRE(direct::agrees<TestType, std::uint8_t>(vq::simd::native, r, status));
  }
}

TEMPLATE_TEST_CASE("requantize: wide codes and floats are those of the reference", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(17);
  using stage_type = vq::to_codes<TestType>;
  for (index_type channels = 1; channels <= 140; ++channels) {
    const index_type rows = r.between(1, 3), acc_step = (channels + 15) / 16 * 16;
    std::vector<std::int32_t> acc(static_cast<std::size_t>(rows * acc_step));
    for (auto& x : acc) {
      x = static_cast<std::int32_t>(r.between(0, 9) == 0 ? r.code<std::int32_t>()
                                                         : r.between(-2000, 2000));
    }
    std::vector<vq::float_multiplier> m(r.between(0, 1) == 0 ? 1
                                                             : static_cast<std::size_t>(channels));
    for (auto& x : m) {  // powers of two give ties
      x.factor = r.between(0, 1) == 0 ? 0.125f : 0.001f * static_cast<float>(r.between(1, 300));
    }
    if (r.between(0, 19) == 0) m[0].factor = std::numeric_limits<float>::quiet_NaN();
    stage_type stage{.multipliers = m, .zero_point = std::int32_t{r.code<TestType>()}};
    if (r.between(0, 1) == 0) stage.codes.lowest = stage.zero_point;
    std::vector<std::int32_t> highest(static_cast<std::size_t>(channels));
    for (auto& h : highest) h = stage.zero_point + 5;
    if (r.between(0, 1) == 0) stage.highest = highest;
    std::vector<float> scales, bias;
    for (const auto& x : m) scales.push_back(x.factor);
    if (r.between(0, 1) == 0) bias.assign(static_cast<std::size_t>(channels), 0.25f);
    const vq::to_float floats{.scales = scales, .bias = bias};

    for (const index_type step : {index_type{1}, index_type{3}}) {
      const auto size = static_cast<std::size_t>(rows * channels * step + 5);
      std::vector<TestType> want(size, 9), got(size, 9);
      const vq::stage_tile<TestType> tile{acc.data(),  acc_step,        rows, 0, channels,
                                          want.data(), channels * step, step};
      vq::requantize_tile<stage_type>{}(stage, tile);
      auto wide = tile;
      wide.out = got.data();
      vq::kernel<vq::requantize_tile<stage_type>, native>{}(stage, wide);
      CAPTURE(channels, step);
      REQUIRE(got == want);

      std::vector<float> want_floats(size, 9), got_floats(size, 9);
      vq::stage_tile<float> to{acc.data(),         acc_step,        rows, 0, channels,
                               want_floats.data(), channels * step, step};
      vq::requantize_tile<vq::to_float>{}(floats, to);
      to.out = got_floats.data();
      vq::kernel<vq::requantize_tile<vq::to_float>, native>{}(floats, to);
      for (std::size_t i = 0; i < size; ++i) {
        REQUIRE((got_floats[i] == want_floats[i] || want_floats[i] != want_floats[i]));
      }
    }
  }
}

TEST_CASE("add: wide codes are those of the reference, for every tail", "[simd]") {
  direct::random r(19);
  for (int i = 0; i < 2000; ++i) {
    const index_type size = r.between(1, 70);
    const auto a = random_codes<std::int8_t>(r, size);
    const auto b = random_codes<std::uint8_t>(r, size);
    const auto scale = [&] { return 0.01f * static_cast<float>(r.between(1, 100)); };
    const vq::affine_param y{scale(), std::int32_t{r.code<std::int8_t>()}};
    auto codes = vq::all_codes<std::int8_t>;
    if (r.between(0, 1) == 0) codes = vq::relu(codes, y);
    const auto p = vq::fit_add({scale(), std::int32_t{r.code<std::int8_t>()}},
                               {scale(), std::int32_t{r.code<std::uint8_t>()}}, y, codes);
    REQUIRE(p);
    std::vector<std::int8_t> want(a.size()), got(a.size());
    using operation = vq::add_codes<std::int8_t, std::uint8_t, std::int8_t>;
    operation{}(*p, a.data(), b.data(), size, want.data());
    vq::kernel<operation, native>{}(*p, a.data(), b.data(), size, got.data());
    REQUIRE(got == want);
  }
}
