// quantize, dequantize and the search for ranges, per tensor and per channel, on 64 Ki floats (the
// codes and the floats stay in L2): the scalar reference, the wide kernels, what one would write
// with Eigen, and the limit: moving the same bytes without computing anything.
#include <cstdint>
#include <cstring>
#include <vector>

#include <Eigen/Core>
#include <benchmark/benchmark.h>

#include <vq/simd.hpp>

namespace {

constexpr vq::index_type rows = 64, columns = 1024, size = rows * columns;

using per_tensor = vq::quantizer<vq::uniform<8>>;
using per_channel = vq::quantizer<vq::uniform<8>, vq::per_channel<0>>;
using per_block = vq::quantizer<vq::uniform<4>, vq::per_block<64>>;

std::vector<float> values() {
  std::vector<float> x(size);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919) % 2003) - 1001.f;
  return x;
}

template <class Q>
struct tensors {
  std::vector<float> x = values();
  vq::tensor_view<const float, 2> view{x.data(), {rows, columns}};
  vq::tensor_view<float, 2> out{x.data(), {rows, columns}};
  std::vector<typename Q::param_type> params;
  std::vector<typename Q::stored_type> codes;

  tensors() {
    params.resize(static_cast<std::size_t>(Q::required(view).params));
    codes.resize(static_cast<std::size_t>(Q::required(view).codes));
    static_cast<void>(vq::fit(Q{}, view, params));
    static_cast<void>(vq::quantize(Q{}, view, params, codes));
  }
};

void count(benchmark::State& state) {
  state.counters["Gelem/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * size) * 1e-9, benchmark::Counter::kIsRate);
}

template <class Q, class E>
void quantize(benchmark::State& state) {
  tensors<Q> t;
  for (auto _ : state) {
    static_cast<void>(vq::quantize(E{}, Q{}, t.view, t.params, t.codes));
    benchmark::DoNotOptimize(t.codes.data());
    benchmark::ClobberMemory();
  }
  count(state);
}

template <class Q, class E>
void dequantize(benchmark::State& state) {
  tensors<Q> t;
  for (auto _ : state) {
    static_cast<void>(vq::dequantize(E{}, Q{}, t.codes, t.params, t.out));
    benchmark::DoNotOptimize(t.x.data());
    benchmark::ClobberMemory();
  }
  count(state);
}

template <class Operation, class E>
void reduce(benchmark::State& state) {
  const tensors<per_tensor> t;
  for (auto _ : state) {
    benchmark::DoNotOptimize(vq::kernel<Operation, E>{}(t.x.data(), size));
  }
  count(state);
}

void quantize_eigen(benchmark::State& state) {
  tensors<per_tensor> t;
  const Eigen::Map<const Eigen::ArrayXf> x(t.x.data(), size);
  Eigen::Map<Eigen::Array<std::int8_t, Eigen::Dynamic, 1>> codes(t.codes.data(), size);
  const float factor = 1 / t.params[0].scale;
  for (auto _ : state) {
    codes = (x * factor).rint().cwiseMax(-127.f).cwiseMin(127.f).cast<std::int8_t>();
    benchmark::DoNotOptimize(t.codes.data());
    benchmark::ClobberMemory();
  }
  count(state);
}

void minmax_eigen(benchmark::State& state) {
  const tensors<per_tensor> t;
  const Eigen::Map<const Eigen::ArrayXf> x(t.x.data(), size);
  for (auto _ : state) {
    float lowest = x.minCoeff(), highest = x.maxCoeff();
    benchmark::DoNotOptimize(lowest);
    benchmark::DoNotOptimize(highest);
  }
  count(state);
}

// The traffic of the operation alone: `in` bytes read and `out` bytes written per element, as
// memcpy moves them (half of each is a read).
void limit(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0) * size) / 2;
  std::vector<char> from(bytes, 1), to(bytes);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), bytes);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  count(state);
}

using scalar = vq::scalar_t;
using native = vq::simd::native_t;

BENCHMARK(quantize<per_tensor, scalar>)->Name("quantize/int8/per_tensor/scalar");
BENCHMARK(quantize<per_tensor, native>)->Name("quantize/int8/per_tensor/native");
BENCHMARK(quantize_eigen)->Name("quantize/int8/per_tensor/eigen");
BENCHMARK(quantize<per_channel, scalar>)->Name("quantize/int8/per_channel/scalar");
BENCHMARK(quantize<per_channel, native>)->Name("quantize/int8/per_channel/native");
BENCHMARK(quantize<per_block, scalar>)->Name("quantize/int4/per_block_64/scalar");
BENCHMARK(quantize<per_block, native>)->Name("quantize/int4/per_block_64/native");
BENCHMARK(limit)->Name("quantize/int8/limit")->Arg(5);
BENCHMARK(dequantize<per_tensor, scalar>)->Name("dequantize/int8/per_tensor/scalar");
BENCHMARK(dequantize<per_tensor, native>)->Name("dequantize/int8/per_tensor/native");
BENCHMARK(dequantize<per_channel, native>)->Name("dequantize/int8/per_channel/native");
BENCHMARK(limit)->Name("dequantize/int8/limit")->Arg(5);
BENCHMARK(reduce<vq::find_range, scalar>)->Name("minmax/scalar");
BENCHMARK(reduce<vq::find_range, native>)->Name("minmax/native");
BENCHMARK(minmax_eigen)->Name("minmax/eigen");
BENCHMARK(reduce<vq::find_absmax, scalar>)->Name("absmax/scalar");
BENCHMARK(reduce<vq::find_absmax, native>)->Name("absmax/native");
BENCHMARK(limit)->Name("minmax/limit")->Arg(4);

}  // namespace
