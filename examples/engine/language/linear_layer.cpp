#include "engine/language/linear_layer.hpp"

#include <cstddef>

#include <vq/nn/weight_only.hpp>
#include <vq/simd.hpp>

namespace engine {
namespace {

matrix multiply(const matrix& x, const matrix& weight, const std::vector<float>& bias) {
  matrix y(x.rows(), weight.rows());
  y.noalias() = x * weight.transpose();
  if (!bias.empty()) {
    y.rowwise() += Eigen::Map<const Eigen::RowVectorXf>(bias.data(), std::ssize(bias));
  }
  return y;
}

matrix multiply(const matrix& x, const packed_weight& weight, const std::vector<float>& bias) {
  matrix y(x.rows(), weight.matrix.outputs);
  const vq::tensor_view<const float, 2> from{x.data(), {x.rows(), x.cols()}};
  const vq::tensor_view<float, 2> to{y.data(), {y.rows(), y.cols()}};
  thread_local std::vector<std::byte> workspace;  // grows to the largest layer's
  const auto needed = at(vq::weight_only_workspace(from, weight.matrix));
  if (workspace.size() < needed) workspace.resize(needed);
  // Sizes come from the matrices themselves, so this cannot fail.
  static_cast<void>(vq::linear(vq::simd::native, from, weight.matrix, bias, to, workspace));
  return y;
}

}  // namespace

matrix linear_layer::operator()(const matrix& x) const {
  return std::visit([&](const auto& w) { return multiply(x, w, bias); }, weight);
}

}  // namespace engine
