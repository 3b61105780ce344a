// The operations of a transformer in floats; see float_kernel.hpp.
#ifndef ENGINE_FLOAT_TRANSFORMER_HPP
#define ENGINE_FLOAT_TRANSFORMER_HPP

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

#include "engine/float_conv2d.hpp"
#include "engine/float_kernel.hpp"
#include "engine/transformer_operation.hpp"

namespace engine {

inline float_kernel prepare(const to_tokens& op, std::span<const shape_type> in,
                            const shape_type&) {
  return {[op, pixels = volume(in[0])](std::span<const float* const> from, float* to, float*) {
    std::copy(op.class_token.begin(), op.class_token.end(), to);
    std::copy_n(from[0], pixels, to + op.class_token.size());
    for (const float position : op.positions.values) *to++ += position;
  }};
}

inline float_kernel prepare(const layer_norm& op, std::span<const shape_type>,
                            const shape_type& out) {
  return {[op, size = volume(out)](std::span<const float* const> from, float* to, float*) {
    const auto features = static_cast<index_type>(op.gamma.size());
    const Eigen::Map<const Eigen::ArrayXf> gamma(op.gamma.data(), features);
    const Eigen::Map<const Eigen::ArrayXf> beta(op.beta.data(), features);
    for (index_type i = 0; i < size; i += features) {
      const Eigen::Map<const Eigen::ArrayXf> x(from[0] + i, features);
      const float mean = x.mean();
      const float deviation = std::sqrt((x - mean).square().mean() + op.epsilon);
      Eigen::Map<Eigen::ArrayXf>(to + i, features) = (x - mean) / deviation * gamma + beta;
    }
  }};
}

inline float_kernel prepare(const gelu&, std::span<const shape_type>, const shape_type& out) {
  return {[size = volume(out)](std::span<const float* const> from, float* to, float*) {
    const Eigen::Map<const Eigen::ArrayXf> x(from[0], size);
    const float root = 1 / std::numbers::sqrt2_v<float>;
    Eigen::Map<Eigen::ArrayXf>(to, size) = 0.5f * x * (1 + (x * root).erf());
  }};
}

// The features of one head in a sequence, in place.
template <class T>
auto head_of(T* sequence, index_type tokens, index_type features, index_type heads,
             index_type head) {
  using view = std::conditional_t<std::is_const_v<T>, const matrix, matrix>;
  return Eigen::Map<view, 0, Eigen::OuterStride<>>(sequence + head * (features / heads), tokens,
                                                   features / heads,
                                                   Eigen::OuterStride<>(features));
}

template <class Sum = float>
float_kernel prepare(const attention_scores& op, std::span<const shape_type> in,
                     const shape_type&) {
  return {[heads = op.heads, queries = in[0][0], keys = in[1][0], features = in[0][1]](
              std::span<const float* const> from, float* to, float*) {
    const float scale = 1 / std::sqrt(static_cast<float>(features / heads));
    for (index_type h = 0; h < heads; ++h, to += queries * keys) {
      Eigen::Map<matrix>(to, queries, keys).noalias() =
          (Sum{scale} * head_of(from[0], queries, features, heads, h).template cast<Sum>() *
           head_of(from[1], keys, features, heads, h).transpose().template cast<Sum>())
              .template cast<float>();
    }
  }};
}

inline float_kernel prepare(const softmax&, std::span<const shape_type>, const shape_type& out) {
  return {[size = volume(out), row = out.back()](std::span<const float* const> from, float* to,
                                                 float*) {
    for (index_type i = 0; i < size; i += row) {
      const Eigen::Map<const Eigen::ArrayXf> x(from[0] + i, row);
      Eigen::Map<Eigen::ArrayXf> y(to + i, row);
      y = (x - x.maxCoeff()).exp();
      y /= y.sum();
    }
  }};
}

template <class Sum = float>
float_kernel prepare(const attention_context& op, std::span<const shape_type> in,
                     const shape_type& out) {
  return {[heads = op.heads, queries = out[0], keys = in[1][0], features = out[1]](
              std::span<const float* const> from, float* to, float*) {
    for (index_type h = 0; h < heads; ++h) {
      head_of(to, queries, features, heads, h).noalias() =
          (Eigen::Map<const matrix>(from[0] + h * queries * keys, queries, keys)
               .template cast<Sum>() *
           head_of(from[1], keys, features, heads, h).template cast<Sum>())
              .template cast<float>();
    }
  }};
}

inline float_kernel prepare(const take_token& op, std::span<const shape_type>,
                            const shape_type& out) {
  return {[begin = op.token * out[0], size = out[0]](std::span<const float* const> from, float* to,
                                                     float*) {
    std::copy_n(from[0] + begin, size, to);
  }};
}

}  // namespace engine

#endif
