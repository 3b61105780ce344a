// The shape of an operation's output from the shapes of its inputs, or why they do not fit.
#ifndef ENGINE_SHAPE_HPP
#define ENGINE_SHAPE_HPP

#include <span>
#include <string>
#include <variant>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/operation.hpp"

namespace engine {

using shape_or_rule = vq::result<shape_type, vq::failure>;

template <class... Parts>
vq::failure wrong_shape(const Parts&... rule) {
  return {vq::status::size_mismatch, vq::sentence(rule...)};
}

inline shape_or_rule output_shape(const conv2d& op, std::span<const shape_type> in) {
  if (in[0].size() != 3) return wrong_shape("a convolution needs an image, not ", spelled(in[0]));
  const index_type channels = op.weight.extent(1) * op.groups;
  if (in[0][2] != channels || op.weight.extent(0) % op.groups != 0) {
    return wrong_shape("the weight ", spelled(op.weight.shape), " in ", op.groups,
                       " groups does not fit an input of ", in[0][2], " channels");
  }
  const index_type height = in[0][0] + 2 * op.padding - op.weight.extent(2);
  const index_type width = in[0][1] + 2 * op.padding - op.weight.extent(3);
  if (height < 0 || width < 0) {
    return wrong_shape("the window is larger than the image ", spelled(in[0]));
  }
  return shape_type{height / op.stride + 1, width / op.stride + 1, op.weight.extent(0)};
}

inline shape_or_rule output_shape(const linear& op, std::span<const shape_type> in) {
  if (in[0].empty() || in[0].back() != op.weight.extent(1)) {
    return wrong_shape("the weight ", spelled(op.weight.shape), " does not fit the input ",
                       spelled(in[0]));
  }
  shape_type out = in[0];
  out.back() = op.weight.extent(0);
  return out;
}

inline shape_or_rule output_shape(const batch_norm& op, std::span<const shape_type> in) {
  if (in[0].empty() || at(in[0].back()) != op.mean.size()) {
    return wrong_shape(op.mean.size(), " channels do not fit the input ", spelled(in[0]));
  }
  return in[0];
}

inline shape_or_rule output_shape(const activation&, std::span<const shape_type> in) {
  return in[0];
}

inline shape_or_rule output_shape(const add&, std::span<const shape_type> in) {
  if (in[0] != in[1]) {
    return wrong_shape("the summands have shapes ", spelled(in[0]), " and ", spelled(in[1]));
  }
  return in[0];
}

inline shape_or_rule output_shape(const global_average_pool&, std::span<const shape_type> in) {
  if (in[0].size() != 3) return wrong_shape("pooling needs an image, not ", spelled(in[0]));
  return shape_type{in[0][2]};
}

inline shape_or_rule output_shape(const to_tokens& op, std::span<const shape_type> in) {
  const auto features = static_cast<index_type>(op.class_token.size());
  if (in[0].size() != 3 || in[0][2] != features ||
      op.positions.shape != shape_type{in[0][0] * in[0][1] + 1, features}) {
    return wrong_shape("positions ", spelled(op.positions.shape), " do not fit patches ",
                       spelled(in[0]));
  }
  return op.positions.shape;
}

inline shape_or_rule output_shape(const layer_norm& op, std::span<const shape_type> in) {
  if (in[0].empty() || at(in[0].back()) != op.gamma.size()) {
    return wrong_shape(op.gamma.size(), " features do not fit the input ", spelled(in[0]));
  }
  return in[0];
}

inline shape_or_rule output_shape(const gelu&, std::span<const shape_type> in) { return in[0]; }
inline shape_or_rule output_shape(const softmax&, std::span<const shape_type> in) { return in[0]; }

inline shape_or_rule output_shape(const attention_scores& op, std::span<const shape_type> in) {
  if (in[0].size() != 2 || in[1].size() != 2 || in[0][1] != in[1][1] || in[0][1] % op.heads != 0) {
    return wrong_shape("queries ", spelled(in[0]), " and keys ", spelled(in[1]),
                       " do not fit each other and ", op.heads, " heads");
  }
  return shape_type{op.heads, in[0][0], in[1][0]};
}

inline shape_or_rule output_shape(const attention_context& op, std::span<const shape_type> in) {
  if (in[0].size() != 3 || in[1].size() != 2 || in[0][0] != op.heads || in[0][2] != in[1][0] ||
      in[1][1] % op.heads != 0) {
    return wrong_shape("probabilities ", spelled(in[0]), " and values ", spelled(in[1]),
                       " do not fit each other and ", op.heads, " heads");
  }
  return shape_type{in[0][1], in[1][1]};
}

inline shape_or_rule output_shape(const take_token& op, std::span<const shape_type> in) {
  if (in[0].size() != 2 || op.token >= in[0][0]) {
    return wrong_shape("there is no token ", op.token, " in ", spelled(in[0]));
  }
  return shape_type{in[0][1]};
}

inline shape_or_rule output_shape(const input&, std::span<const shape_type>) {
  return wrong_shape("the shape of an input is given, not computed");
}

inline shape_or_rule output_shape(const operation& op, std::span<const shape_type> in) {
  return std::visit([in](const auto& o) { return output_shape(o, in); }, op);
}

}  // namespace engine

#endif
