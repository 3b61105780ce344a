#include "engine/float_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>
#include <vector>

#include <Eigen/Core>

#include "engine/float_conv2d.hpp"
#include "engine/float_depthwise_conv2d.hpp"
#include "engine/float_transformer.hpp"

namespace engine {
namespace {

template <class Sum = float>
float_kernel prepare(const conv2d& op, std::span<const shape_type> in, const shape_type& out) {
  if (op.depthwise() && out[2] == in[0][2]) {
    return {[conv = float_depthwise_conv2d(op, in[0], out)](
                std::span<const float* const> from, float* to, float*) { conv(from[0], to); }};
  }
  float_conv2d<Sum> conv(op, in[0], out);
  const index_type scratch = conv.scratch();
  return {[conv = std::move(conv)](std::span<const float* const> from, float* to, float* room) {
            conv(from[0], to, room);
          },
          scratch};
}

template <class Sum = float>
float_kernel prepare(const linear& op, std::span<const shape_type>, const shape_type& out) {
  const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
  const matrix_of<Sum> weight = Eigen::Map<const matrix>(op.weight.values.data(), outputs, inputs)
                                    .transpose()
                                    .template cast<Sum>();
  const index_type rows = volume(out) / outputs;
  return {[weight, rows, end = layer_end(outputs, op.bias, op.clamp)](
              std::span<const float* const> from, float* to, float*) {
    Eigen::Map<matrix>(to, rows, weight.cols()).noalias() =
        (Eigen::Map<const matrix>(from[0], rows, weight.rows()).template cast<Sum>() * weight)
            .template cast<float>();
    end(to, rows);
  }};
}

float_kernel prepare(const batch_norm& op, std::span<const shape_type>, const shape_type& out) {
  std::vector<float> factor, shift;
  for (std::size_t c = 0; c < op.mean.size(); ++c) {
    const double k = op.gamma[c] / std::sqrt(double{op.variance[c]} + op.epsilon);
    factor.push_back(static_cast<float>(k));
    shift.push_back(static_cast<float>(op.beta[c] - op.mean[c] * k));
  }
  return {
      [factor, shift, size = volume(out)](std::span<const float* const> from, float* to, float*) {
        const auto channels = static_cast<index_type>(factor.size());
        const float* x = from[0];
        for (index_type i = 0; i < size; i += channels, x += channels, to += channels) {
          for (index_type c = 0; c < channels; ++c) to[c] = x[c] * factor[at(c)] + shift[at(c)];
        }
      }};
}

float_kernel prepare(const activation& op, std::span<const shape_type>, const shape_type& out) {
  return {[size = volume(out), clamp = op.clamp](std::span<const float* const> from, float* to,
                                                 float*) {
    for (index_type i = 0; i < size; ++i) to[i] = clamped(from[0][i], clamp);
  }};
}

float_kernel prepare(const add& op, std::span<const shape_type>, const shape_type& out) {
  return {[size = volume(out), clamp = op.clamp](std::span<const float* const> from, float* to,
                                                 float*) {
    const float *a = from[0], *b = from[1];
    for (index_type i = 0; i < size; ++i) to[i] = clamped(a[i] + b[i], clamp);
  }};
}

float_kernel prepare(const global_average_pool&, std::span<const shape_type> in,
                     const shape_type&) {
  return {[pixels = in[0][0] * in[0][1], channels = in[0][2]](std::span<const float* const> from,
                                                              float* to, float*) {
    std::fill_n(to, channels, 0.f);
    for (const float* x = from[0]; x != from[0] + pixels * channels; x += channels) {
      for (index_type c = 0; c < channels; ++c) to[c] += x[c];
    }
    for (index_type c = 0; c < channels; ++c) to[c] /= static_cast<float>(pixels);
  }};
}

float_kernel prepare(const input&, std::span<const shape_type>, const shape_type&) {
  return {[](std::span<const float* const>, float*, float*) {}};
}

}  // namespace

template <class Sum>
float_kernel kernel_of(const operation& any, std::span<const shape_type> in,
                       const shape_type& out) {
  return std::visit(
      [&](const auto& op) {
        if constexpr (requires { prepare<Sum>(op, in, out); }) {
          return prepare<Sum>(op, in, out);
        } else {
          return prepare(op, in, out);
        }
      },
      any);
}
template float_kernel kernel_of<float>(const operation&, std::span<const shape_type>,
                                       const shape_type&);
template float_kernel kernel_of<double>(const operation&, std::span<const shape_type>,
                                        const shape_type&);

}  // namespace engine
