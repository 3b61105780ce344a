// Tensors to codes and back, with parameters that are given.
//
//   status s = vq::quantize(q, x, params, codes);       // any view of floats, half, bfloat16
//   status s = vq::dequantize(q, codes, params, out);   // into any view that can be written
//
// The first argument may be an execution (vq::scalar, vq::simd::native); the codes are the same.
// Neither looks for NaN (fit does): NaN becomes the lowest code of a uniform policy.
#ifndef VQ_QUANTIZER_QUANTIZE_HPP
#define VQ_QUANTIZER_QUANTIZE_HPP

#include <concepts>
#include <cstddef>
#include <span>

#include <vq/core/convert.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/half.hpp>
#include <vq/core/status.hpp>
#include <vq/core/stream_values.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

// The codes of one strip. `in` points at the strip's first value; the code of flat position i goes
// to position i of `out`, which is the start of all codes.
template <class Policy, class Layout>
struct encode_strip {
  using code_type = typename Policy::code_type;
  using stored_type = typename Layout::template stored_type<code_type>;

  constexpr void operator()(const Policy& policy, const typename Policy::param_type* params,
                            strip s, const float* in, stored_type* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      for (index_type k = offset; k < offset + s.length; ++k) {
        Layout::store(out, s.begin + k,
                      static_cast<code_type>(encode_run(policy, s.short_run, in[k], param)));
      }
    });
  }
};

// The values of one strip, rounded to Out (float, half, bfloat16); pointers as in encode_strip, with
// their roles exchanged.
template <class Policy, class Layout, class Out = float>
struct decode_strip {
  using code_type = typename Policy::code_type;
  using stored_type = typename Layout::template stored_type<code_type>;

  constexpr void operator()(const Policy& policy, const typename Policy::param_type* params,
                            strip s, const stored_type* in, Out* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      for (index_type k = offset; k < offset + s.length; ++k) {
        const code_type code = Layout::template load<code_type>(in, s.begin + k);
        out[k] = static_cast<Out>(policy.decode(static_cast<float>(code), param));
      }
    });
  }
};

template <a_quantizer Q>
using encode_operation = encode_strip<typename Q::policy_type, typename Q::layout_type>;
template <a_quantizer Q, class Out = float>
using decode_operation = decode_strip<typename Q::policy_type, typename Q::layout_type, Out>;

// ok when the spans are as long as required() says.
template <a_quantizer Q, readable_view V>
constexpr status check_sizes(const Q& q, const V& x, std::span<const typename Q::param_type> params,
                             std::span<const typename Q::stored_type> codes) noexcept {
  const sizes need = q.required(x);
  if (static_cast<index_type>(params.size()) < need.params) return status::too_few_params;
  if (static_cast<index_type>(codes.size()) < need.codes) return status::too_few_codes;
  return status::ok;
}

namespace detail {

// The codes of a tensor. `cut` is all that there is of a granularity here: one instance serves every
// granularity.
template <class Policy, class Layout, execution E, readable_view V>
constexpr void encode_slices(E e, const Policy& policy, const typename Policy::param_type* params,
                             const slices& cut, const V& x,
                             typename encode_strip<Policy, Layout>::stored_type* codes) noexcept {
  for_each_chunk(e, x, 0, x.size(), [&](index_type begin, const float* values, index_type count) {
    cut.for_each_strip(begin, count, [&](strip s) {
      kernel<encode_strip<Policy, Layout>, E>{}(policy, params, s, values + (s.begin - begin),
                                                codes);
    });
  });
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V>
constexpr status quantize(E e, const Q& q, const V& x,
                          std::span<const typename Q::param_type> params,
                          std::span<typename Q::stored_type> codes) noexcept {
  if (const status s = check_sizes(q, x, params, codes); s != status::ok) return s;
  detail::encode_slices<typename Q::policy_type, typename Q::layout_type>(
      e, q.policy, params.data(), q.cut(x.extents()), x, codes.data());
  return status::ok;
}

namespace detail {

// Calls f(begin, values, count) for stack buffers of floats that cover `out`, or for `out` itself
// where it is contiguous and f accepts its type, and stores what f wrote there. What is larger than
// the caches goes through a buffer too where E streams.
template <execution E, class V, class F>
constexpr void fill_by_chunk(E, const V& out, F f) noexcept {
  if constexpr (requires { f(index_type{}, out.data_handle(), out.size()); }) {
    using value_type = typename V::value_type;
    if constexpr (!runs_reference<stream_values<value_type>, E>) {
      constexpr std::size_t bytes = sizeof(value_type);
      if (out.is_exhaustive() && out.size() >= streamed_bytes / index_type{bytes}) {
        constexpr index_type chunk = 4096 / bytes;  // decoding goes on while lines are written
        value_type buffer[4096 / bytes];
        for (index_type begin = 0; begin < out.size(); begin += chunk) {
          const index_type left = out.size() - begin, count = left < chunk ? left : chunk;
          f(begin, static_cast<value_type*>(buffer), count);
          kernel<stream_values<value_type>, E>{}(buffer, out.data_handle() + begin, count,
                                                 left <= chunk);
        }
        return;
      }
    }
    if (out.is_exhaustive()) {
      f(index_type{0}, out.data_handle(), out.size());
      return;
    }
  }
  if constexpr (narrow_view<V> && !std::same_as<E, scalar_t>) {
    if (out.is_exhaustive()) {
      constexpr index_type chunk = 1024;
      float buffer[chunk];
      for (index_type begin = 0; begin < out.size(); begin += chunk) {
        const index_type count = out.size() - begin < chunk ? out.size() - begin : chunk;
        f(begin, static_cast<float*>(buffer), count);
        kernel<narrow_floats<typename V::value_type>, E>{}(buffer, count,
                                                           out.data_handle() + begin);
      }
      return;
    }
  }
  constexpr index_type chunk = 256;
  float buffer[chunk] = {};
  for (index_type begin = 0; begin < out.size(); begin += chunk) {
    const index_type count = out.size() - begin < chunk ? out.size() - begin : chunk;
    f(begin, static_cast<float*>(buffer), count);
    out.write(begin, std::span<const float>(buffer, static_cast<std::size_t>(count)));
  }
}

}  // namespace detail

// E writes values of this type itself; others are rounded from a buffer of floats.
template <class Policy, class Layout, class E, class Out>
concept decodes_to =
    std::same_as<Out, float> ||
    ((std::same_as<Out, half> || std::same_as<Out, bfloat16>)&&(
        std::same_as<E, scalar_t> || !runs_reference<decode_strip<Policy, Layout, Out>, E>));

namespace detail {

// The values of a tensor, for every granularity as encode_slices.
template <class Policy, class Layout, execution E, readable_view V>
constexpr void decode_slices(E e, const Policy& policy, const typename Policy::param_type* params,
                             const slices& cut,
                             const typename decode_strip<Policy, Layout>::stored_type* codes,
                             const V& out) noexcept {
  const auto decode = [&]<class Out>(index_type begin, Out * values, index_type count)
    requires decodes_to<Policy, Layout, E, Out>
  {
    cut.for_each_strip(begin, count, [&](strip s) {
      kernel<decode_strip<Policy, Layout, Out>, E>{}(policy, params, s, codes,
                                                     values + (s.begin - begin));
    });
  };
  fill_by_chunk(e, out, decode);
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V>
constexpr status dequantize(E e, const Q& q, std::span<const typename Q::stored_type> codes,
                            std::span<const typename Q::param_type> params, const V& out) noexcept {
  if (const status s = check_sizes(q, out, params, codes); s != status::ok) return s;
  detail::decode_slices<typename Q::policy_type, typename Q::layout_type>(
      e, q.policy, params.data(), q.cut(out.extents()), codes.data(), out);
  return status::ok;
}

template <a_quantizer Q, readable_view V>
constexpr status quantize(const Q& q, const V& x, std::span<const typename Q::param_type> params,
                          std::span<typename Q::stored_type> codes) noexcept {
  return quantize(scalar, q, x, params, codes);
}
template <a_quantizer Q, readable_view V>
constexpr status dequantize(const Q& q, std::span<const typename Q::stored_type> codes,
                            std::span<const typename Q::param_type> params, const V& out) noexcept {
  return dequantize(scalar, q, codes, params, out);
}

}  // namespace vq::inline v1

#endif
