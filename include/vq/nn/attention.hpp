// The two products of attention on codes, head by head, exact in int32 up to the scales:
//
//   scores[h][t][u]  = scale * sum over f of (q[t][h f] - Zq) (k[u][h f] - Zk)
//   context[h][t][f] = scale * sum over u of value of p[h][t][u] * (v[u][h f] - Zv)
//
// q, k, v: one code a byte, (tokens, heads * features), contiguous, as linear layers leave them;
// p, scores, context: heads one after the other. Keys and values are computed, not learned, so they
// are packed for the integer kernels in each call: keys * features bytes moved per head, against
// queries times as many multiply-adds. Probabilities are evenly spaced codes, or codes in planes
// (nn/code_planes.hpp: twin and logarithmic formats). The same floats for every execution.
#ifndef VQ_NN_ATTENTION_HPP
#define VQ_NN_ATTENTION_HPP

#include <cstdint>
#include <span>

#include <vq/nn/planar_linear.hpp>

namespace vq::inline v1 {

struct attention_shape {
  index_type queries = 0;
  index_type keys = 0;
  index_type heads = 1;
  index_type features = 0;  // of one head

  constexpr index_type row() const noexcept { return heads * features; }
  constexpr bool sound() const noexcept {
    return queries > 0 && keys > 0 && heads > 0 && features > 0;
  }
};

// Codes of a sequence and what they stand for.
struct sequence_codes {
  std::span<const std::uint8_t> codes;
  affine_param param;
};

namespace detail {

// One head of a sequence: (tokens, features).
constexpr tensor_view<const std::uint8_t, 2> head_of(std::span<const std::uint8_t> codes,
                                                     const attention_shape& s, index_type tokens,
                                                     index_type head) noexcept {
  return {codes.data() + head * s.features, {tokens, s.features}, {s.row(), 1}};
}

// The second factor of a product, packed in the workspace: its sums, its codes, then the rest.
struct packed_head {
  index_type sums = 0, codes = 0;  // int32

  constexpr packed_head(index_type outputs, index_type inputs) noexcept
      : sums(outputs), codes((packed_size(shape_type<2>{outputs, inputs}).codes + 3) / 4) {}

  constexpr index_type size() const noexcept { return sums + codes; }
  // As large a workspace as any zero point needs.
  static constexpr packed_weights shape(index_type outputs, index_type inputs) noexcept {
    packed_weights w = packed_shape({outputs, inputs, 1, 1}, 1);
    w.offset = 128;
    return w;
  }
  result<packed_weights> pack(const tensor_view<const std::uint8_t, 2>& w,
                              const std::int32_t& zero_point,
                              std::span<std::int32_t> workspace) const noexcept {
    const auto bytes = workspace.subspan(static_cast<std::size_t>(sums));
    return pack_weights<std::uint8_t>(
        w, {reinterpret_cast<std::int8_t*>(bytes.data()), static_cast<std::size_t>(4 * codes)},
        workspace.first(static_cast<std::size_t>(sums)), std::span(&zero_point, 1));
  }
};

constexpr bool holds(std::size_t size, index_type needed) noexcept {
  return static_cast<index_type>(size) >= needed;
}

}  // namespace detail

// How many int32 either product needs as its workspace.
template <execution E>
constexpr index_type attention_workspace(E e, const attention_shape& s) noexcept {
  const auto most = [](index_type a, index_type b) { return a > b ? a : b; };
  const packed_weights keys = detail::packed_head::shape(s.keys, s.features);
  const packed_weights values = detail::packed_head::shape(s.features, s.keys);
  const tensor_view<const std::uint8_t, 2> q{nullptr, {s.queries, s.features}, {s.row(), 1}};
  return most(detail::packed_head(s.keys, s.features).size() + linear_workspace(e, q, keys),
              detail::packed_head(s.features, s.keys).size() +
                  planar_linear_workspace(e, s.queries, values));
}

// `factor`: applied besides the scales, 1 / sqrt(features) as a rule. size_mismatch (a span shorter
// than the shape says, an empty shape), too_little_workspace, and what linear() refuses.
template <execution E>
status attention_scores(E e, const attention_shape& s, const sequence_codes& q,
                        const sequence_codes& k, float factor, std::span<float> scores,
                        std::span<std::int32_t> workspace) noexcept {
  const index_type size = s.queries * s.keys;
  if (!s.sound() || !detail::holds(q.codes.size(), s.queries * s.row()) ||
      !detail::holds(k.codes.size(), s.keys * s.row()) ||
      !detail::holds(scores.size(), s.heads * size)) {
    return status::size_mismatch;
  }
  if (!detail::holds(workspace.size(), attention_workspace(e, s))) {
    return status::too_little_workspace;
  }
  const detail::packed_head place(s.keys, s.features);
  const float scale = factor * q.param.scale * k.param.scale;
  for (index_type h = 0; h < s.heads; ++h) {
    const auto w =
        place.pack(detail::head_of(k.codes, s, s.keys, h), k.param.zero_point, workspace);
    if (!w) return w.error();
    const status done =
        linear(e, detail::head_of(q.codes, s, s.queries, h), q.param.zero_point, *w, {},
               to_float{std::span(&scale, 1)}, {scores.data() + h * size, {s.queries, s.keys}},
               workspace.subspan(static_cast<std::size_t>(place.size())));
    if (done != status::ok) return done;
  }
  return status::ok;
}

namespace detail {

// multiply(codes of a head's probabilities, packed values, its part of the context, workspace)
template <execution E, class Multiply>
status context_by_head(E e, const attention_shape& s, std::span<const std::uint8_t> p,
                       const sequence_codes& v, std::span<float> context,
                       std::span<std::int32_t> workspace, Multiply multiply) noexcept {
  const index_type square = s.queries * s.keys, size = s.queries * s.features;
  if (!s.sound() || !holds(p.size(), s.heads * square) ||
      !holds(v.codes.size(), s.keys * s.row()) || !holds(context.size(), s.heads * size)) {
    return status::size_mismatch;
  }
  if (!holds(workspace.size(), attention_workspace(e, s))) return status::too_little_workspace;
  const packed_head place(s.features, s.keys);
  const auto part = [](auto all, index_type length, index_type h) {
    return all.subspan(static_cast<std::size_t>(h * length), static_cast<std::size_t>(length));
  };
  for (index_type h = 0; h < s.heads; ++h) {
    const auto head = head_of(v.codes, s, s.keys, h);
    const auto w = place.pack({head.data_handle(), {s.features, s.keys}, {1, s.row()}},
                              v.param.zero_point, workspace);
    if (!w) return w.error();
    const status done = multiply(part(p, square, h), *w, part(context, size, h),
                                 workspace.subspan(static_cast<std::size_t>(place.size())));
    if (done != status::ok) return done;
  }
  return status::ok;
}

}  // namespace detail

// Statuses as of attention_scores().
template <execution E>
status attention_context(E e, const attention_shape& s, std::span<const std::uint8_t> probabilities,
                         affine_param of_probabilities, const sequence_codes& v,
                         std::span<float> context, std::span<std::int32_t> workspace) noexcept {
  const float scale = of_probabilities.scale * v.param.scale;
  return detail::context_by_head(
      e, s, probabilities, v, context, workspace,
      [&](auto p, const packed_weights& w, auto y, auto rest) {
        return linear(e, tensor_view<const std::uint8_t, 2>{p.data(), {s.queries, s.keys}},
                      of_probabilities.zero_point, w, {}, to_float{std::span(&scale, 1)},
                      {y.data(), {s.queries, s.features}}, rest);
      });
}
template <execution E>
status attention_context(E e, const attention_shape& s, std::span<const std::uint8_t> probabilities,
                         const code_planes& of_probabilities, const sequence_codes& v,
                         std::span<float> context, std::span<std::int32_t> workspace) noexcept {
  return detail::context_by_head(e, s, probabilities, v, context, workspace,
                                 [&](auto p, const packed_weights& w, auto y, auto rest) {
                                   return planar_linear(e, p, s.queries, of_probabilities, w,
                                                        std::span(&v.param.scale, 1), {}, y, rest);
                                 });
}

}  // namespace vq::inline v1

#endif
