// Quantize and dequantize in one step: what the network computes when a tensor is quantized, in
// floats. And the gradient that training passes through it.
//
//   y = decode(encode(x))
//   dL/dx = dL/dy where the policy does not clamp, 0 where it does   (straight-through estimator,
//           Bengio et al. 2013, arXiv 1308.3432; PyTorch's fake_quantize_*_cachemask)
#ifndef VQ_QUANTIZER_FAKE_QUANTIZE_HPP
#define VQ_QUANTIZER_FAKE_QUANTIZE_HPP

#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/status.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

// `in` and `out` point at the strip's first value and may be the same.
template <class Policy>
struct fake_quantize_strip {
  constexpr void operator()(const Policy& policy, const typename Policy::param_type* params,
                            strip s, const float* in, float* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      for (index_type k = offset; k < offset + s.length; ++k) {
        out[k] = policy.decode(encode_run(policy, s.short_run, in[k], param), param);
      }
    });
  }
};

namespace detail {

// Walks `x` and `out`, views of equal shape, strip by strip: f(strip, in, out).
template <execution E, readable_view V, readable_view W, class F>
constexpr status transform(E e, const slices& cut, const V& x, std::size_t params, const W& out,
                           F f) noexcept {
  if (x.size() != out.size()) return status::size_mismatch;
  if (static_cast<index_type>(params) < cut.params()) return status::too_few_params;
  fill_by_chunk(e, out, [&](index_type from, float* to, index_type size) {
    for_each_chunk(e, x, from, size, [&](index_type begin, const float* values, index_type count) {
      cut.for_each_strip(begin, count,
                         [&](strip s) { f(s, values + (s.begin - begin), to + (s.begin - from)); });
    });
  });
  return status::ok;
}

// One instance serves every granularity.
template <execution E, class Policy, readable_view V, readable_view W>
constexpr status fake_quantize_slices(E e, const Policy& policy, const slices& cut, const V& x,
                                      std::span<const typename Policy::param_type> params,
                                      const W& out) noexcept {
  return transform(e, cut, x, params.size(), out, [&](strip s, const float* in, float* to) {
    kernel<fake_quantize_strip<Policy>, E>{}(policy, params.data(), s, in, to);
  });
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V, readable_view W>
constexpr status fake_quantize(E e, const Q& q, const V& x,
                               std::span<const typename Q::param_type> params,
                               const W& out) noexcept {
  return detail::fake_quantize_slices(e, q.policy, q.cut(x.extents()), x, params, out);
}
template <a_quantizer Q, readable_view V, readable_view W>
constexpr status fake_quantize(const Q& q, const V& x,
                               std::span<const typename Q::param_type> params,
                               const W& out) noexcept {
  return fake_quantize(scalar, q, x, params, out);
}

// Multiplies `gradient` (contiguous, row-major, the shape of x) by the straight-through mask. A
// policy without in_range clamps nothing, so its gradient passes unchanged.
template <a_quantizer Q, readable_view V>
constexpr status straight_through(const Q& q, const V& x,
                                  std::span<const typename Q::param_type> params,
                                  std::span<float> gradient) noexcept {
  using policy_type = typename Q::policy_type;
  if (static_cast<index_type>(gradient.size()) != x.size()) return status::size_mismatch;
  const tensor_view<float, 1> flat{gradient.data(), {x.size()}};
  const slices cut = q.cut(x.extents());
  const auto mask = [&](strip s, const float* in, float* to) {
    if constexpr (requires { policy_type{}.in_range(0.f, typename policy_type::param_type{}); }) {
      s.for_each_run([&](index_type run, index_type offset) {
        const auto param = params[static_cast<std::size_t>(run)];
        for (index_type k = offset; k < offset + s.length; ++k) {
          if (!q.policy.in_range(in[k], param)) to[k] = 0;
        }
      });
    }
  };
  return detail::transform(scalar, cut, x, params.size(), flat, mask);
}

}  // namespace vq::inline v1

#endif
