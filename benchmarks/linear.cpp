// Linear layers with float activations and outputs and int8 weights: rows are quantized in the call,
// each by its own minimum and maximum. Cases: rows x depth x columns (shapes.hpp). Everything is
// timed, the quantization too; the limit is the peak of the 8-bit dot product alone.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "packed_matrix.hpp"
#include "shapes.hpp"
#include "support.hpp"

namespace {

struct dynamic_layer {
  std::vector<float> scales, bias;
  std::vector<std::byte> workspace;
  vq::tensor_view<const float, 2> x;
  vq::tensor_view<float, 2> y;
  vqb::packed_matrix weights;

  explicit dynamic_layer(const vqb::gemm_shape& s)
      : scales(static_cast<std::size_t>(s.columns), 0.001f),
        bias(scales.size(), 0.5f),
        x(vqb::floats(static_cast<std::size_t>(s.rows * s.depth)).data(), {s.rows, s.depth}),
        y(vqb::scratch<float>(0, static_cast<std::size_t>(s.rows * s.columns)).data(),
          {s.rows, s.columns}),
        weights(s) {}

  template <class E>
  vq::status run(E e, const vqb::thread_pool& pool) {
    workspace.resize(static_cast<std::size_t>(
        vq::linear_workspace(e, vq::dynamic_int8, x, weights.view, pool.workers())));
    return vq::linear(e, vq::dynamic_int8, x, weights.view, scales, bias, y, workspace, pool);
  }
};

template <class E>
void add_layer(const vqb::gemm_shape& s, const char* who, E e, int threads) {
  vqb::add(
      "linear_dynamic", s.case_name(), who, {s.operations(), vqb::operations},
      [=] {
        const auto state = std::make_shared<dynamic_layer>(s);
        const vqb::thread_pool& pool = vqb::pool(threads);
        if (state->run(e, pool) != vq::status::ok) throw std::runtime_error("refused");
        return [=, &pool] { static_cast<void>(state->run(e, pool)); };
      },
      threads);
}

const bool registered = [] {
  for (const vqb::gemm_shape& s : vqb::dynamic_shapes) {
    for (const int threads : {1, 2}) {
      if (threads > vqb::usable_cpus()) continue;
      add_layer(s, "native", vq::simd::native, threads);
      vqb::limit_peak("linear_dynamic", s.case_name(), vqb::peak::int8, threads);
    }
#if defined(__AVX512BW__)
    add_layer(s, "avx2", vq::simd::on<vq::simd::avx2>{}, 1);
#endif
  }
  return true;
}();

}  // namespace
