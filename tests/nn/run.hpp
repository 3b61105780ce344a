// The layers of vq/nn with memory of their own, for tests that compare results.
#ifndef VQ_TESTS_NN_RUN_HPP
#define VQ_TESTS_NN_RUN_HPP

#include <cstdint>
#include <type_traits>
#include <vector>

#include <vq/nn.hpp>

#include "catch.hpp"

namespace run {

using bias_type = std::vector<std::int32_t>;

// Outputs in row-major order of (N, O, H, W).
template <class X, class W, class Stage, class E = vq::scalar_t>
std::vector<typename Stage::output_type> conv2d(
    const vq::tensor_view<const X, 4>& x, std::int32_t x_zero, const vq::tensor_view<const W, 4>& w,
    vq::index_type groups, const std::vector<std::int32_t>& w_zero, const bias_type& bias,
    const vq::window2d& window, const Stage& stage, E execution = {}) {
  const vq::packed_sizes need = vq::packed_size(w.extents(), groups);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto packed = vq::pack_weights<W>(w, groups, codes, sums, w_zero);
  REQUIRE(packed);
  const vq::size2d size = vq::output_size({x.extent(2), x.extent(3)}, packed->kernel, window);
  const vq::shape_type<4> shape{x.extent(0), w.extent(0), size.height, size.width};
  std::vector<typename Stage::output_type> y(static_cast<std::size_t>(vq::volume(shape)));
  bias_type workspace(
      static_cast<std::size_t>(vq::conv2d_workspace(execution, x, *packed, window)));
  REQUIRE(vq::conv2d(execution, x, x_zero, *packed, bias, window, stage, {y.data(), shape},
                     workspace) == vq::status::ok);
  return y;
}

// x (rows, inputs), w (outputs, inputs); outputs in row-major order.
template <class X, class W, class Stage, class E = vq::scalar_t>
std::vector<typename Stage::output_type> linear(const vq::tensor_view<const X, 2>& x,
                                                std::int32_t x_zero,
                                                const vq::tensor_view<const W, 2>& w,
                                                const std::vector<std::int32_t>& w_zero,
                                                const bias_type& bias, const Stage& stage,
                                                E execution = {}) {
  const vq::packed_sizes need = vq::packed_size(w.extents());
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto packed = vq::pack_weights<W>(w, codes, sums, w_zero);
  REQUIRE(packed);
  const vq::shape_type<2> shape{x.extent(0), w.extent(0)};
  std::vector<typename Stage::output_type> y(static_cast<std::size_t>(vq::volume(shape)));
  bias_type workspace(static_cast<std::size_t>(vq::linear_workspace(execution, x, *packed)));
  REQUIRE(vq::linear(execution, x, x_zero, *packed, bias, stage, {y.data(), shape}, workspace) ==
          vq::status::ok);
  return y;
}

inline std::vector<vq::affine_param> params(const std::vector<float>& scales) {
  std::vector<vq::affine_param> all;
  for (const float scale : scales) all.push_back({scale, 0});
  return all;
}

template <class Multiplier = vq::float_multiplier>
std::vector<Multiplier> multipliers(vq::affine_param x, const std::vector<float>& w_scales,
                                    vq::affine_param y) {
  std::vector<Multiplier> all(w_scales.size());
  REQUIRE(vq::find_multipliers<Multiplier>(x, params(w_scales), y, all) == vq::status::ok);
  return all;
}

}  // namespace run

#endif
