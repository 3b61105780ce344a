// The integer layers: multiply_panel alone, convolutions of ResNet-20, MobileNetV2 and ResNet-50
// with their requantization (channels last, one image, one thread), and addition. For the float
// side, the same product as a single-precision matrix product of Eigen.
#include <array>
#include <cstdint>
#include <vector>

#include <Eigen/Core>
#include <benchmark/benchmark.h>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

namespace {

using vq::index_type;
using X = std::uint8_t;

template <class T>
std::vector<T> codes(index_type size) {
  std::vector<T> values(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i * 7919 % 251);
  return values;
}

void count(benchmark::State& state, index_type products) {
  state.counters["GMAC/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * products) * 1e-9, benchmark::Counter::kIsRate);
}

// Arguments: rows, columns, depth.
template <class E>
void product(benchmark::State& state) {
  const index_type rows = state.range(0), columns = state.range(1), depth = state.range(2);
  const auto x = codes<X>(rows * depth);
  const auto w = codes<std::int8_t>(columns * depth);
  const auto need = vq::packed_size(vq::shape_type<2>{columns, depth});
  std::vector<std::int8_t> packed(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto weights = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 2>{w.data(), {columns, depth}}, packed, sums);
  const index_type blocks = vq::panel::blocks(columns);
  const std::vector<std::int32_t> start(static_cast<std::size_t>(blocks * 16));
  std::vector<std::int32_t> c(static_cast<std::size_t>(rows * blocks * 16));
  const vq::code_rows<X> a{.first = x.data(), .step = depth, .count = rows, .depth = depth};
  for (auto _ : state) {
    vq::kernel<vq::multiply_panel<X>, E>{}(a, weights->codes, weights->block_step(), blocks,
                                           start.data(), c.data(), blocks * 16);
    benchmark::DoNotOptimize(c.data());
    benchmark::ClobberMemory();
  }
  count(state, rows * columns * depth);
}

void product_eigen(benchmark::State& state) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const matrix x = matrix::Random(state.range(0), state.range(2));
  const matrix w = matrix::Random(state.range(1), state.range(2));
  matrix y(state.range(0), state.range(1));
  for (auto _ : state) {
    y.noalias() = x * w.transpose();
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  count(state, state.range(0) * state.range(1) * state.range(2));
}

// Arguments: channels, side, outputs, kernel, stride, groups.
template <class E>
void convolution(benchmark::State& state) {
  const index_type channels = state.range(0), side = state.range(1), outputs = state.range(2);
  const index_type kernel = state.range(3), stride = state.range(4), groups = state.range(5);
  const vq::shape_type<4> shape{outputs, channels / groups, kernel, kernel};
  const auto x = codes<X>(channels * side * side);
  const auto w = codes<std::int8_t>(vq::volume(shape));
  const auto need = vq::packed_size(shape, groups);
  std::vector<std::int8_t> packed(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto weights = vq::pack_weights<std::int8_t>({w.data(), shape}, groups, packed, sums);

  const vq::window2d window{.stride = {stride, stride}, .padding = vq::pad_evenly(kernel / 2)};
  const vq::size2d size = vq::output_size({side, side}, {kernel, kernel}, window);
  std::vector<X> y(static_cast<std::size_t>(outputs * size.height * size.width));
  const vq::tensor_view<const X, 4> in{
      x.data(), {1, channels, side, side}, {0, 1, side * channels, channels}};
  const vq::tensor_view<X, 4> out{
      y.data(), {1, outputs, size.height, size.width}, {0, 1, size.width * outputs, outputs}};
  const std::vector<vq::float_multiplier> m(static_cast<std::size_t>(outputs), {0.001f});
  const vq::to_codes<X> stage{.multipliers = m, .zero_point = 3};
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::conv2d_workspace(in, *weights, window)));
  for (auto _ : state) {
    if (vq::conv2d(E{}, in, 7, *weights, {}, window, stage, out, workspace) != vq::status::ok) {
      state.SkipWithError("refused");
      break;
    }
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  count(state, size.height * size.width * vq::volume(shape));
}

template <class E>
void addition(benchmark::State& state) {
  constexpr index_type size = 64 * 1024;
  const auto a = codes<X>(size), b = codes<X>(size);
  std::vector<X> y(size);
  const auto p = vq::fit_add({0.02f, 3}, {0.03f, 120}, {0.04f, 7}, vq::all_codes<X>);
  const vq::tensor_view<const X, 1> from_a{a.data(), {size}}, from_b{b.data(), {size}};
  for (auto _ : state) {
    static_cast<void>(vq::add(E{}, *p, from_a, from_b, vq::tensor_view<X, 1>{y.data(), {size}}));
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  state.counters["Gelem/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * size) * 1e-9, benchmark::Counter::kIsRate);
}

void products(benchmark::internal::Benchmark* b) {
  b->Args({1024, 64, 576})->Args({256, 96, 16})->Args({1, 1000, 1280});
}
void convolutions(benchmark::internal::Benchmark* b) {
  b->Args({16, 32, 16, 3, 1, 1})  // ResNet-20
      ->Args({64, 8, 64, 3, 1, 1})
      ->Args({16, 32, 96, 1, 1, 1})  // MobileNetV2
      ->Args({96, 32, 96, 3, 1, 96})
      ->Args({64, 56, 64, 3, 1, 1})  // ResNet-50
      ->Args({64, 56, 256, 1, 1, 1});
}

using scalar = vq::scalar_t;
using native = vq::simd::native_t;

BENCHMARK(product<scalar>)->Name("product/scalar")->Args({1024, 64, 576});
BENCHMARK(product<native>)->Name("product/native")->Apply(products);
BENCHMARK(product_eigen)->Name("product/eigen_f32")->Apply(products);
BENCHMARK(convolution<native>)->Name("conv2d/native")->Apply(convolutions);
BENCHMARK(addition<scalar>)->Name("add/scalar");
BENCHMARK(addition<native>)->Name("add/native");

}  // namespace
