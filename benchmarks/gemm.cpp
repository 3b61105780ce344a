// 8-bit integer products, weights packed once: u8 times s8 to 32-bit sums (gemm_s32), or through
// bias and a scale per column to u8 (gemm_u8). Cases: rows x depth x columns (shapes.hpp).
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "packed_matrix.hpp"
#include "shapes.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using X = std::uint8_t;

template <class Output>
struct product {
  std::vector<std::int32_t> bias, workspace;
  std::vector<vq::float_multiplier> multipliers;
  vq::tensor_view<const X, 2> x;
  vq::tensor_view<Output, 2> y;
  vqb::packed_matrix weights;

  explicit product(const vqb::gemm_shape& s)
      : bias(static_cast<std::size_t>(s.columns), 100),
        multipliers(bias.size(), vq::float_multiplier{0.0005f}),
        x(vqb::random_bytes(static_cast<std::size_t>(s.rows * s.depth)).data(), {s.rows, s.depth}),
        y(vqb::scratch<Output>(0, static_cast<std::size_t>(s.rows * s.columns)).data(),
          {s.rows, s.columns}),
        weights(s) {}

  template <class E>
  vq::status run(E e, const vqb::thread_pool& pool) {
    workspace.resize(
        static_cast<std::size_t>(vq::linear_workspace(e, x, weights.view, pool.workers())));
    if constexpr (std::is_same_v<Output, X>) {
      const vq::to_codes<X> stage{.multipliers = multipliers, .zero_point = 3};
      return vq::linear(e, x, vqb::gemm_zero_point, weights.view, bias, stage, y, workspace, pool);
    } else {
      return vq::linear(e, x, 0, weights.view, {}, vq::to_accumulators{}, y, workspace, pool);
    }
  }
};

template <class Output, class E>
void add_product(const char* kernel, const vqb::gemm_shape& s, const char* who, E e, int threads) {
  vqb::add(
      kernel, s.case_name(), who, {s.operations(), vqb::operations},
      [=] {
        const auto state = std::make_shared<product<Output>>(s);
        const vqb::thread_pool& pool = vqb::pool(threads);
        if (state->run(e, pool) != vq::status::ok) throw std::runtime_error("refused");
        return [=, &pool] { static_cast<void>(state->run(e, pool)); };
      },
      threads);
}

template <class Output>
void add_kernel(const char* kernel, std::span<const vqb::gemm_shape> shapes) {
  for (const vqb::gemm_shape& s : shapes) {
    for (const int threads : {1, 2}) {
      if (threads > vqb::usable_cpus()) continue;
      add_product<Output>(kernel, s, "native", vq::simd::native, threads);
      vqb::limit_peak(kernel, s.case_name(), vqb::peak::int8, threads);
    }
#if defined(__AVX512BW__)
    add_product<Output>(kernel, s, "avx2", vq::simd::on<vq::simd::avx2>{}, 1);
#endif
  }
}

const bool registered = [] {
  add_kernel<std::int32_t>("gemm_s32", vqb::gemm_shapes);
  add_kernel<X>("gemm_u8", vqb::gemm_shapes);
  if (std::getenv("VQ_BENCHMARK_SWEEP")) add_kernel<X>("gemm_u8_sweep", vqb::sweep_shapes);
  return true;
}();

}  // namespace
