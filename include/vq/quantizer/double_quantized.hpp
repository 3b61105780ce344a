// Scales that are quantized themselves: the double quantization of QLoRA, bitsandbytes'
// "compress_statistics".
//
//   using nf4_weights = vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>;
//
//   offset = mean of all scales
//   scale  = level[code] * absmax[i / Group] + offset           an 8-bit code of dynamic8 per scale
//
// With blocks of 64 a weight takes 4 + 8/64 + 32/(64 * 256) = 4.127 bits instead of 4.5. The codes
// of the weights belong to the scales as they were before: fit and quantize work with plain scales,
// quantize_scales compresses them, and dequantize and view_quantized take what it made:
//
//   vq::fit_quantize(q, w, scales, codes);                 // workspace: q.required(w).params scales
//   vq::nested_scales nested{.codes = ..., .absmax = ...}; // vq::required_scales(q, w) of each
//   vq::quantize_scales(q, scales, nested);                // sets nested.offset too
//   vq::dequantize(q, codes, nested, out);
//
// In a checkpoint of bitsandbytes nested.codes is `absmax`, nested.absmax is `nested_absmax`,
// nested.offset stands in the JSON as `nested_offset`, and the levels are `nested_quant_map`
// (about 40 of the 256 differ by one ulp between writers).
// A recovered scale is within 0.7 % of absmax[i / Group] of the scale; it may be negative where the
// scale is almost zero. Source: Dettmers et al. 2023 (arXiv 2305.14314), section 3.
#ifndef VQ_QUANTIZER_DOUBLE_QUANTIZED_HPP
#define VQ_QUANTIZER_DOUBLE_QUANTIZED_HPP

#include <concepts>
#include <cstdint>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/status.hpp>
#include <vq/policy/dynamic.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/quantize.hpp>
#include <vq/quantizer/quantized_view.hpp>
#include <vq/quantizer/storage.hpp>

namespace vq::inline v1 {

template <index_type Group = 256>
struct double_quantized {
  static_assert(Group > 0, "double_quantized: a group has at least one scale");
  template <class Policy>
  using layout = plain::layout<Policy>;
  using scale_quantizer = quantizer<dynamic8, per_block<Group>>;
};

// Scales as they are stored, in memory of the caller.
struct nested_scales {
  std::span<std::uint8_t> codes;  // one per scale
  std::span<scale_param> absmax;  // one per group
  float offset = 0;
};
struct const_nested_scales {
  std::span<const std::uint8_t> codes;
  std::span<const scale_param> absmax;
  float offset = 0;

  constexpr const_nested_scales() noexcept = default;
  constexpr const_nested_scales(std::span<const std::uint8_t> c, std::span<const scale_param> a,
                                float o) noexcept
      : codes(c), absmax(a), offset(o) {}
  constexpr const_nested_scales(const nested_scales& n) noexcept
      : codes(n.codes), absmax(n.absmax), offset(n.offset) {}
};

template <class Q>
concept has_nested_scales = a_quantizer<Q> && std::same_as<typename Q::param_type, scale_param> &&
                            requires { typename Q::storage_type::scale_quantizer; };

template <has_nested_scales Q>
using scale_quantizer_of = typename Q::storage_type::scale_quantizer;

// How many absmax (params) and codes the scales of a tensor take.
template <has_nested_scales Q, readable_view V>
constexpr sizes required_scales(const Q& q, const V& view) noexcept {
  return scale_quantizer_of<Q>::required(std::array<index_type, 1>{q.required(view).params});
}

namespace detail {

// Scales [first, first + count), decoded.
template <class ScaleQuantizer, execution E>
constexpr void decode_scales(E, const const_nested_scales& nested, index_type first,
                             index_type count, scale_param* to) noexcept {
  constexpr index_type chunk = 256;
  const slices cut =
      ScaleQuantizer::cut(std::array<index_type, 1>{static_cast<index_type>(nested.codes.size())});
  for (index_type at = 0; at < count; at += chunk) {
    float value[chunk] = {};
    const index_type size = count - at < chunk ? count - at : chunk;
    cut.for_each_strip(first + at, size, [&](strip s) {
      kernel<decode_operation<ScaleQuantizer>, E>{}(
          {}, nested.absmax.data(), s, nested.codes.data(), value + (s.begin - first - at));
    });
    for (index_type i = 0; i < size; ++i) to[at + i].scale = value[i] + nested.offset;
  }
}

// The values of a strip, with as many scales at a time as a buffer on the stack holds.
template <a_quantizer Q, class Out, execution E>
constexpr void decode_nested_strip(E e, const typename Q::policy_type& policy,
                                   const const_nested_scales& nested, const strip& s,
                                   const typename Q::stored_type* codes, Out* out) noexcept {
  constexpr index_type chunk = 256;
  for (index_type row = 0; row < s.rows; ++row) {
    for (index_type run = 0; run < s.count; run += chunk) {
      scale_param scales[chunk];
      const index_type runs = s.count - run < chunk ? s.count - run : chunk;
      decode_scales<scale_quantizer_of<Q>>(e, nested, s.param + run, runs, scales);
      const index_type offset = (row * s.count + run) * s.length;
      const strip part{s.begin + offset, s.length, runs, 0, 1, s.short_run};
      kernel<decode_operation<Q, Out>, E>{}(policy, scales, part, codes, out + offset);
    }
  }
}

template <has_nested_scales Q, readable_view V>
constexpr status check_nested(const Q& q, const V& x, const const_nested_scales& nested,
                              std::span<const typename Q::stored_type> codes) noexcept {
  const sizes scales = required_scales(q, x);
  if (static_cast<index_type>(nested.codes.size()) < scales.codes ||
      static_cast<index_type>(nested.absmax.size()) < scales.params) {
    return status::too_few_params;
  }
  return static_cast<index_type>(codes.size()) < q.required(x).codes ? status::too_few_codes
                                                                     : status::ok;
}

}  // namespace detail

// Compresses scales around a given offset: one code per scale, one absmax per group.
template <execution E, has_nested_scales Q>
constexpr status quantize_scales(E, const Q&, std::span<const scale_param> scales, float offset,
                                 nested_scales& nested) noexcept {
  using scale_quantizer = scale_quantizer_of<Q>;
  const slices cut =
      scale_quantizer::cut(std::array<index_type, 1>{static_cast<index_type>(scales.size())});
  if (static_cast<index_type>(nested.codes.size()) < cut.size() ||
      static_cast<index_type>(nested.absmax.size()) < cut.params()) {
    return status::too_few_params;
  }
  constexpr dynamic8 policy;
  nested.offset = offset;
  constexpr index_type chunk = 256;
  float rest[chunk] = {};
  // `from` is a piece of a group that fits the buffer.
  const auto subtract = [&](index_type from, index_type count) {
    for (index_type i = 0; i < count; ++i) {
      rest[i] = scales[static_cast<std::size_t>(from + i)].scale - offset;
    }
  };
  for (index_type group = 0; group < cut.params(); ++group) {
    cut.for_each_run(group, [&](index_type begin, index_type length) {
      const auto for_each_piece = [&](auto f) {
        for (index_type at = 0; at < length; at += chunk) {
          const index_type count = length - at < chunk ? length - at : chunk;
          subtract(begin + at, count);
          f(begin + at, count);
        }
      };
      observed all;
      for_each_piece([&](index_type, index_type count) {
        all = hull(all, kernel<find_absmax, E>{}(rest, count));
      });
      const bool is_short = cut.is_short(group);
      nested.absmax[static_cast<std::size_t>(group)] = fit_run(policy, is_short, all.seen);
      for_each_piece([&](index_type from, index_type count) {
        kernel<encode_operation<scale_quantizer>, E>{}(policy, nested.absmax.data(),
                                                       {from, count, 1, group, 1, is_short}, rest,
                                                       nested.codes.data());
      });
    });
  }
  return status::ok;
}
// Around their mean.
template <execution E, has_nested_scales Q>
constexpr status quantize_scales(E e, const Q& q, std::span<const scale_param> scales,
                                 nested_scales& nested) noexcept {
  double sum = 0;
  for (const scale_param p : scales) sum += static_cast<double>(p.scale);
  const double mean = scales.empty() ? 0 : sum / static_cast<double>(scales.size());
  return quantize_scales(e, q, scales, static_cast<float>(mean), nested);
}
template <has_nested_scales Q>
constexpr status quantize_scales(const Q& q, std::span<const scale_param> scales,
                                 nested_scales& nested) noexcept {
  return quantize_scales(scalar, q, scales, nested);
}

// The scales that the codes stand for.
template <execution E, has_nested_scales Q>
constexpr status dequantize_scales(E e, const Q&, const const_nested_scales& nested,
                                   std::span<scale_param> scales) noexcept {
  const auto count = static_cast<index_type>(nested.codes.size());
  if (static_cast<index_type>(scales.size()) < count) return status::too_few_params;
  detail::decode_scales<scale_quantizer_of<Q>>(e, nested, 0, count, scales.data());
  return status::ok;
}

template <execution E, has_nested_scales Q, readable_view V>
constexpr status dequantize(E e, const Q& q, std::span<const typename Q::stored_type> codes,
                            const const_nested_scales& nested, const V& out) noexcept {
  if (const status s = detail::check_nested(q, out, nested, codes); s != status::ok) return s;
  const slices cut = q.cut(out.extents());
  const auto decode = [&]<class Out>(index_type begin, Out * values, index_type count)
    requires decodes_to<typename Q::policy_type, typename Q::layout_type, E, Out>
  {
    cut.for_each_strip(begin, count, [&](strip s) {
      detail::decode_nested_strip<Q>(e, q.policy, nested, s, codes.data(),
                                     values + (s.begin - begin));
    });
  };
  detail::fill_by_chunk(e, out, decode);
  return status::ok;
}
template <has_nested_scales Q, readable_view V>
constexpr status dequantize(const Q& q, std::span<const typename Q::stored_type> codes,
                            const const_nested_scales& nested, const V& out) noexcept {
  return dequantize(scalar, q, codes, nested, out);
}

// Bytes that codes and scales of a tensor take: the codes of the scales, the absmax, the offset.
template <has_nested_scales Q, std::size_t Rank>
constexpr index_type stored_bytes(const Q& q,
                                  const std::array<index_type, Rank>& extents) noexcept {
  const sizes need = q.required(extents);
  const sizes scales = scale_quantizer_of<Q>::required(std::array<index_type, 1>{need.params});
  return need.codes + scales.codes + 4 * scales.params + 4;
}

// See encoded_data; scales are decoded a few at a time.
template <has_nested_scales Q>
struct nested_encoded_data {
  const typename Q::stored_type* codes = nullptr;
  const_nested_scales nested{};
  slices cut{};
  [[no_unique_address]] typename Q::policy_type policy{};

  constexpr void decode(strip s, float* out) const noexcept {
    detail::decode_nested_strip<Q>(scalar, policy, nested, s, codes, out);
  }
};

// `codes` and `nested` must be as long as required() and required_scales() say and outlive the view.
template <int Rank, has_nested_scales Q>
constexpr tensor_view<const float, Rank, decoding_accessor<nested_encoded_data<Q>>> view_quantized(
    const Q& q, std::span<const typename Q::stored_type> codes, const const_nested_scales& nested,
    const shape_type<Rank>& extents) noexcept {
  return {{codes.data(), nested, q.cut(extents), q.policy}, extents};
}

}  // namespace vq::inline v1

#endif
