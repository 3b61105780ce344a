// The integer kernels: every instruction set gives the integers of the reference.
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "nn/direct.hpp"
#include "nn/run.hpp"

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

// What the kernels of `native` multiply when they are given X.
template <class X>
using product_type = typename vq::product_codes<X, native>::type;

TEMPLATE_TEST_CASE("multiply_panel: exact for every number of rows, columns and steps", "[simd]",
                   std::int8_t, std::uint8_t) {
  using code = product_type<TestType>;
  using wide = vq::kernel<vq::multiply_panel<code>, native>;
  direct::random r(11);
  for (index_type depth = 1; depth <= 21; ++depth) {
    for (index_type rows = 1; rows <= 19; ++rows) {
      const index_type columns = r.between(1, 150), stored = (columns + 15) / 16 * 16;
      const index_type outer = r.between(1, 3), inner = r.between(1, 2);
      const index_type step = depth + r.between(0, 5), run = r.between(0, 7);
      const index_type run_step = 7 * step + 3, padded = (depth + 3) / 4 * 4;
      const auto a = random_codes<code>(r, rows * (step + run_step) + (outer + inner) * 40 + depth);
      const auto w = random_codes<std::int8_t>(r, columns * outer * inner * depth);
      const auto start = random_codes<std::int32_t>(r, stored);
      const index_type all = outer * inner * padded;
      std::vector<std::int8_t> b(static_cast<std::size_t>(stored * all));
      std::vector<std::int32_t> want, got(static_cast<std::size_t>(rows * columns), 7);
      for (index_type n = 0; n < columns; ++n) {
        for (index_type k = 0; k < outer * inner * depth; ++k) {
          const index_type begin = n / 64 * 64, width = std::min<index_type>(64, stored - begin);
          const index_type at = k / depth * padded + k % depth;
          b[static_cast<std::size_t>(begin * all + at / 4 * width * 4 + (n - begin) * 4 + at % 4)] =
              w[static_cast<std::size_t>(n * outer * inner * depth + k)];
        }
      }
      for (index_type m = 0; m < rows; ++m) {  // the exact sum, modulo 2^32
        const index_type row = run == 0 ? m * step : m / run * run_step + m % run * step;
        for (index_type n = 0; n < columns; ++n) {
          std::int64_t sum = start[static_cast<std::size_t>(n)];
          for (index_type k = 0; k < outer * inner * depth; ++k) {
            const index_type segment = k / depth;
            sum += std::int64_t{a[static_cast<std::size_t>(row + segment / inner * 40 +
                                                           segment % inner * 17 + k % depth)]} *
                   w[static_cast<std::size_t>(n * outer * inner * depth + k)];
          }
          want.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(sum)));
        }
      }
      const vq::code_rows<code> codes{.first = a.data(),
                                      .step = step,
                                      .count = rows,
                                      .run = run,
                                      .run_step = run_step,
                                      .depth = depth,
                                      .outer = outer,
                                      .outer_step = 40,
                                      .inner = inner,
                                      .inner_step = 17};
      const vq::code_panels panels{b.data(), all, stored, start.data()};
      wide{}(
          codes, panels, {},
          {.first = got.data(), .step = columns, .run_step = run * columns, .channels = columns});
      CAPTURE(depth, rows, columns, outer, inner, run);
      REQUIRE(got == want);
    }
  }
}

TEMPLATE_TEST_CASE("multiply_panel: many rows and steps", "[simd]", std::int8_t, std::uint8_t) {
  using code = product_type<TestType>;
  direct::random r(17);
  for (const auto [rows, depth, columns] :
       {std::array<index_type, 3>{53, 301, 70}, {97, 128, 16}, {48, 132, 100}, {7, 1030, 33}}) {
    const auto x = random_codes<code>(r, rows * depth);
    const auto w = random_codes<std::int8_t>(r, columns * depth);
    const vq::tensor_view<const code, 2> a{x.data(), {rows, depth}};
    const vq::tensor_view<const std::int8_t, 2> b{w.data(), {columns, depth}};
    const auto got = run::linear(a, 0, b, {}, {}, vq::to_accumulators{}, vq::simd::native);
    CAPTURE(rows, depth, columns);
    REQUIRE(got == run::linear(a, 0, b, {}, {}, vq::to_accumulators{}));
  }
}

TEST_CASE("multiply_panel: the products that saturate 16 bits elsewhere are exact", "[simd]") {
  // 255 * 127 twice is 64770; vpmaddubsw would give 32767.
  const std::vector<std::uint8_t> x(7 * 64, 255);
  for (const int w : {127, -128}) {
    const std::vector<std::int8_t> weights(80 * 64, static_cast<std::int8_t>(w));
    for (const index_type depth : {2, 64}) {
      const auto y = run::linear(vq::tensor_view<const std::uint8_t, 2>{x.data(), {7, depth}}, 0,
                                 vq::tensor_view<const std::int8_t, 2>{weights.data(), {80, depth}},
                                 {}, {}, vq::to_accumulators{}, vq::simd::native);
      CHECK(y == std::vector<std::int32_t>(7 * 80, static_cast<std::int32_t>(depth) * 255 * w));
      const std::vector<std::int8_t> low(7 * 64, -128);
      const auto z = run::linear(vq::tensor_view<const std::int8_t, 2>{low.data(), {7, depth}}, 0,
                                 vq::tensor_view<const std::int8_t, 2>{weights.data(), {80, depth}},
                                 {}, {}, vq::to_accumulators{}, vq::simd::native);
      CHECK(z == std::vector<std::int32_t>(7 * 80, static_cast<std::int32_t>(depth) * -128 * w));
    }
  }
}

// One convolution with every stage, on registers and by the reference.
template <class X, class Stage>
void same_outputs(direct::random& r, const Stage& stage, const direct::problem& p) {
  direct::tensor<X> x(direct::order::channels_last, p.x());
  r.fill(x.data);
  const direct::tensor<X>& in = x;
  const auto w = random_codes<std::int8_t>(r, vq::volume(p.w()));
  const vq::tensor_view<const std::int8_t, 4> weight{w.data(), p.w()};
  std::vector<std::int32_t> zeros;
  if (r.between(0, 3) == 0) zeros = {3};
  const auto zero = std::int32_t{r.zero_point<X>()};
  const auto wide =
      run::conv2d(in.view(), zero, weight, p.groups, zeros, {}, p.window, stage, vq::simd::native);
  const auto reference = run::conv2d(in.view(), zero, weight, p.groups, zeros, {}, p.window, stage);
  REQUIRE(wide.size() == reference.size());
  for (std::size_t i = 0; i < wide.size(); ++i) {
    REQUIRE((wide[i] == reference[i] || (wide[i] != wide[i] && reference[i] != reference[i])));
  }
}

TEMPLATE_TEST_CASE("conv2d: codes leave the registers as the reference makes them", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(23);
  for (int i = 0; i < 150; ++i) {
    const direct::problem p = r.convolution();
    const auto channels = static_cast<std::size_t>(p.outputs);
    std::vector<vq::float_multiplier> m(r.between(0, 3) == 0 ? 1 : channels);
    for (auto& k : m) {  // powers of two give ties; 1 and more leave the range of an int32
      k.factor = r.between(0, 2) == 0 ? 0x1p-9f : 0.0001f * static_cast<float>(r.between(1, 90));
    }
    if (i % 9 == 0) m[0].factor = 3e9f;
    if (i % 9 == 1) m[0].factor = std::numeric_limits<float>::quiet_NaN();
    if (i % 9 == 2) m[0].factor = -0.01f;
    vq::to_codes<TestType> stage{.multipliers = m, .zero_point = std::int32_t{r.code<TestType>()}};
    if (i % 3 == 0) stage.codes.lowest = std::int32_t{r.code<TestType>()};
    if (i % 5 == 0) stage.codes.highest = stage.codes.lowest + 20;
    if (i % 5 == 0)
      stage.codes.highest =
          std::min<std::int32_t>(stage.codes.highest, std::numeric_limits<TestType>::max());
    if (i % 7 == 0) stage.zero_point = -70000;
    std::vector<std::int32_t> highest(channels);
    for (auto& h : highest) h = std::int32_t{r.code<TestType>()};
    if (i % 4 == 0) stage.highest = highest;
    CAPTURE(i);
    same_outputs<TestType>(r, stage, p);
  }
}

TEST_CASE("conv2d: floats leave the registers as the reference makes them", "[simd]") {
  direct::random r(29);
  for (int i = 0; i < 100; ++i) {
    const direct::problem p = r.convolution();
    const auto channels = static_cast<std::size_t>(p.outputs);
    std::vector<float> scales(r.between(0, 1) == 0 ? 1 : channels), bias;
    if (r.between(0, 2) > 0) bias.resize(r.between(0, 1) == 0 ? 1 : channels);
    for (float& s : scales) s = 0.01f * static_cast<float>(r.between(-40, 90));
    for (float& b : bias) b = 0.1f * static_cast<float>(r.between(-900, 900));
    CAPTURE(i);
    same_outputs<std::int8_t>(r, vq::to_float{.scales = scales, .bias = bias}, p);
  }
}

// Runs the tasks from the last to the first, each as the worker that comes next.
struct backwards {
  index_type count;
  index_type workers() const noexcept { return count; }
  template <class F>
  void operator()(index_type tasks, F&& f) const noexcept {
    for (index_type task = tasks; task-- > 0;) f(task, task % count);
  }
};

TEST_CASE("conv2d: the same for any number of workers", "[simd]") {
  direct::random r(31);
  for (int i = 0; i < 100; ++i) {
    const direct::problem p = r.convolution();
    direct::tensor<std::int8_t> x(static_cast<direct::order>(r.between(0, 2)), p.x());
    r.fill(x.data);
    const direct::tensor<std::int8_t>& in = x;
    const auto w = random_codes<std::int8_t>(r, vq::volume(p.w()));
    const auto need = vq::packed_size(p.w(), p.groups);
    std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
    std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
    const auto packed = vq::pack_weights<std::int8_t>({w.data(), p.w()}, p.groups, codes, sums);
    REQUIRE(packed);
    const auto outputs = [&](index_type workers) {
      std::vector<std::int32_t> y(static_cast<std::size_t>(vq::volume(p.y())));
      std::vector<std::int32_t> space(static_cast<std::size_t>(
          vq::conv2d_workspace(vq::simd::native, in.view(), *packed, p.window, workers)));
      REQUIRE(vq::conv2d(vq::simd::native, in.view(), 3, *packed, {}, p.window,
                         vq::to_accumulators{}, {y.data(), p.y()}, space,
                         backwards{workers}) == vq::status::ok);
      return y;
    };
    const auto whole = outputs(1);
    CAPTURE(i);
    REQUIRE(outputs(2) == whole);
    REQUIRE(outputs(5) == whole);
  }
}

TEMPLATE_TEST_CASE("conv2d: every instruction set gives the accumulators of the definition",
                   "[simd]", std::int8_t, std::uint8_t) {
  direct::random r(13);
  for (int i = 0; i < random_cases(600); ++i) {
    std::int32_t status = 0;
    CAPTURE(i, status);
    REQUIRE(direct::agrees<TestType, std::int8_t>(vq::simd::native, r, status));
    REQUIRE(direct::agrees<TestType, std::uint8_t>(vq::simd::native, r, status));
  }
}

TEMPLATE_TEST_CASE("conv2d: depthwise kernels read images in place, and zeros around them",
                   "[simd]", std::int8_t, std::uint8_t) {
  direct::random r(31);
  for (int i = 0; i < 150; ++i) {
    std::int32_t status = 0;
    CAPTURE(i, status);
    REQUIRE(direct::agrees<TestType, std::int8_t>(vq::simd::native, r, r.depthwise(),
                                                  direct::order::channels_last, 0, status));
  }
}

// Images without pixels, and of one row, whose stride is never used and may be 0.
TEMPLATE_TEST_CASE("conv2d: depthwise, hardly an image inside of its padding", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(37);
  constexpr index_type channels = 96;
  const auto w = random_codes<std::int8_t>(r, channels * 9);
  const auto image = random_codes<TestType>(r, channels * 9);
  const vq::tensor_view<const std::int8_t, 4> weight{w.data(), {channels, 1, 3, 3}};
  for (const auto& [height, width] :
       std::vector<std::array<index_type, 2>>{{0, 0}, {0, 2}, {2, 0}, {1, 1}, {1, 9}}) {
    for (const index_type stride : {1, 2}) {
      CAPTURE(height, width, stride);
      const vq::tensor_view<const TestType, 4> x{
          image.data(),
          {1, channels, height, width},
          {0, 1, height > 1 ? width * channels : 0, channels}};
      const vq::window2d window{.stride = {stride, stride}, .padding = vq::pad_evenly(3)};
      const auto sums = [&](auto execution) {
        return run::conv2d(x, 9, weight, channels, {}, {}, window, vq::to_accumulators{},
                           execution);
      };
      REQUIRE(sums(vq::simd::native) == sums(vq::scalar));
    }
  }
}

TEMPLATE_TEST_CASE("conv2d: depthwise, every number of rows, with and without padding", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(29);
  const std::vector<vq::float_multiplier> m{{0.01f}};
  const vq::to_codes<TestType> stage{.multipliers = m, .zero_point = 3};
  for (const index_type channels : {16, 33, 64, 96, 130}) {
    for (index_type height = 1; height <= 7; ++height) {
      for (const index_type kernel : {2, 3, 4}) {
        direct::problem p{1, channels, height, 9, channels, kernel, 3, channels, {}};
        p.window.padding = vq::pad_evenly(height % 2 == 0 || height < kernel ? 1 : 0);
        if (height == 7) p.window.stride.height = 2;
        if (p.y()[2] < 1) continue;
        CAPTURE(channels, height, kernel);
        same_outputs<TestType>(r, vq::to_accumulators{}, p);
        same_outputs<TestType>(r, stage, p);
      }
    }
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
