// Packs weights of 4 or 8 bits for weight_only products, once, when a model is loaded.
//
//   vq::quantizer<vq::nf4, vq::per_block<64>> q;          // codes and params as quantize left them
//   std::vector<std::uint8_t> storage(std::size_t(vq::weight_only_size(q, extents)));
//   auto w = vq::pack_weight_only(q, extents, codes, params, storage);       // result<weight_only>
//
// The weights have the extents (outputs, inputs). 4 bits: any policy whose values are a number of
// its own for each code, times a scale: codebooks, minifloat, uniform, also asymmetric (then zero
// points are packed). 8 bits: uniform and symmetric. Scales may be shared by group, block, output
// or tensor, as long as no block crosses the end of a row.
//
// Weights from elsewhere (GPTQ, AWQ, ggml, ONNX) are packed through pack_weight_only(format,
// outputs, inputs, source, storage), where source says what the code, scale and zero point are.
#ifndef VQ_NN_WEIGHT_ONLY_PACK_HPP
#define VQ_NN_WEIGHT_ONLY_PACK_HPP

#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/op.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/weight_only_panels.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

namespace detail {

constexpr bool whole_multiples(const float (&levels)[16], float unit) noexcept {
  for (const float level : levels) {
    const float steps = level / unit;
    if (!(op::abs(steps) <= 127) || op::round_even(steps) != steps) return false;
  }
  return true;
}

constexpr float squared_error(const float (&levels)[16], float unit) noexcept {
  float sum = 0;
  for (const float level : levels) {
    const float rest = op::round_even(level / unit) * unit - level;
    sum += rest * rest;
  }
  return sum;
}

}  // namespace detail

// Finds integers for 16 levels: exact ones where all levels are integers or halves; else the
// largest level becomes that number of 64..127 which leaves the smallest squared error. For NF4
// that is 112: no level moves by more than 0.5 / 112, which adds 0.2 % to the squared error that
// normal weights have in blocks of 64.
constexpr void find_integer_levels(weight_only_format& format) noexcept {
  float largest = 0;
  for (const float level : format.levels) largest = (op::max)(op::abs(level), largest);
  format.integer_unit = 1;
  if (!(largest > 0)) return;
  if (!detail::whole_multiples(format.levels, 1)) {
    format.integer_unit = 0.5f;
    if (!detail::whole_multiples(format.levels, 0.5f)) {
      format.integer_unit = largest / 127;
      float least = detail::squared_error(format.levels, format.integer_unit);
      for (int n = 126; n >= 64; --n) {
        const float unit = largest / static_cast<float>(n);
        const float error = detail::squared_error(format.levels, unit);
        if (error < least) {
          least = error;
          format.integer_unit = unit;
        }
      }
    }
  }
  for (int i = 0; i < 16; ++i) {
    format.integer_levels[i] =
        static_cast<std::int8_t>(op::round_even(format.levels[i] / format.integer_unit));
  }
}

namespace detail {

constexpr weight_only shaped(const weight_only_format& format, const std::uint8_t* storage,
                             index_type outputs, index_type inputs) noexcept {
  weight_only w{format, storage, outputs, inputs};
  if (w.block >= inputs) w.block = w.depth();  // one block, of whole steps
  return w;
}

}  // namespace detail

// How many bytes the packed form takes.
constexpr index_type weight_only_size(const weight_only_format& format, index_type outputs,
                                      index_type inputs) noexcept {
  return detail::shaped(format, nullptr, outputs, inputs).size_bytes();
}

// source.code(n, k): 0..15, or an int8; source.scale(n, b) and source.zero(n, b): of block b of
// output n; zero is asked for only where the format has zero points, 0..16.
// bad_argument: a block that is neither a multiple of 8 nor all inputs, bits other than 4 and 8,
// or zero points with other levels than 0..15. overflow: a scale that is infinite as stored.
template <class Source>
constexpr result<weight_only> pack_weight_only(const weight_only_format& format, index_type outputs,
                                               index_type inputs, const Source& source,
                                               std::span<std::uint8_t> storage) noexcept {
  if (outputs < 1 || inputs < 1) return status::size_mismatch;
  const bool ends_in_a_step = format.block >= inputs || format.block % weight_only::step == 0;
  if (format.block < 1 || !ends_in_a_step) return status::bad_argument;
  if (format.bits != 4 && format.bits != 8) return status::bad_argument;
  if (format.zero_points) {
    if (format.bits != 4) return status::bad_argument;
    for (int i = 0; i < 16; ++i) {
      if (format.levels[i] != static_cast<float>(i)) return status::bad_argument;
    }
  }
  weight_only w = detail::shaped(format, storage.data(), outputs, inputs);
  if (w.bits == 4) find_integer_levels(w);
  if (static_cast<index_type>(storage.size()) < w.size_bytes()) return status::too_few_codes;

  for (index_type i = 0; i < w.size_bytes(); ++i) storage[static_cast<std::size_t>(i)] = 0;
  for (index_type n = 0; n < outputs; ++n) {
    std::uint8_t* const panel = storage.data() + n / weight_only::columns * w.panel_bytes();
    const index_type column = n % weight_only::columns;
    for (index_type b = 0; b < w.blocks(); ++b) {
      std::uint8_t* const record = panel + b * w.record_bytes();
      const index_type begin = b * w.block;
      const index_type count = inputs - begin < w.block ? inputs - begin : w.block;
      for (index_type k = 0; k < count; ++k) {
        const auto code = static_cast<std::int32_t>(source.code(n, begin + k));
        const weight_only::place p = w.place_of(k, column);
        const auto stored = static_cast<std::uint32_t>(w.bits == 4 ? code & 15 : code + 128);
        record[p.byte] = static_cast<std::uint8_t>(record[p.byte] | stored << p.shift);
      }
      const float scale = source.scale(n, b);
      std::uint8_t* const at = record + w.code_bytes() + column * scale_bytes(w.scales);
      std::uint32_t bits = std::bit_cast<std::uint32_t>(scale);
      if (w.scales == scale_format::half) bits = half(scale).bits;
      if (w.scales == scale_format::bfloat16) bits = bfloat16(scale).bits;
      for (index_type i = 0; i < scale_bytes(w.scales); ++i, bits >>= 8) {
        at[i] = static_cast<std::uint8_t>(bits & 255u);
      }
      if (!(op::abs(w.scale_at(record, column)) <= (std::numeric_limits<float>::max)())) {
        return status::overflow;
      }
      if (w.zero_points) {
        record[w.code_bytes() + weight_only::columns * scale_bytes(w.scales) + column] =
            static_cast<std::uint8_t>(source.zero(n, b));
      }
    }
  }
  return w;
}

namespace detail {

template <a_quantizer Q>
inline constexpr bool has_zero_points = [] {
  if constexpr (requires(typename Q::param_type p) { p.zero_point; }) {
    return !Q::policy_type::symmetric_range || !std::is_signed_v<typename Q::code_type>;
  } else {
    return false;
  }
}();

template <a_quantizer Q>
constexpr typename Q::param_type unit_param() noexcept {
  typename Q::param_type p{};
  p.scale = 1;
  return p;
}

// What an 8-bit or 4-bit pattern stands for at scale 1.
template <a_quantizer Q>
constexpr float level_of(const Q& q, unsigned pattern) noexcept {
  using code_type = typename Q::code_type;
  const auto code = code_from_bits<code_type, Q::policy_type::bits>(pattern);
  return q.policy.decode(static_cast<float>(code), unit_param<Q>());
}

// The smallest code: with zero points, codes are stored from 0 on.
template <a_quantizer Q>
constexpr std::int32_t lowest_code() noexcept {
  return std::is_signed_v<typename Q::code_type> ? -(std::int32_t{1} << (Q::policy_type::bits - 1))
                                                 : 0;
}

}  // namespace detail

// The format of a quantizer's weights. A block is never longer than `inputs`.
template <a_quantizer Q>
constexpr weight_only_format weight_only_format_of(
    const Q& q, const shape_type<2>& extents,
    scale_format scales = scale_format::float32) noexcept {
  using policy = typename Q::policy_type;
  static_assert(policy::bits == 4 || policy::bits == 8,
                "weight_only: weights must have 4 or 8 bits");
  static_assert(
      requires(typename Q::param_type p) { p.scale; },
      "weight_only: the parameter of the policy must have a scale");
  static_assert(
      policy::bits == 4 || (std::is_signed_v<typename Q::code_type> && !detail::has_zero_points<Q>),
      "weight_only: 8-bit weights must be symmetric and have signed codes");
  weight_only_format format;
  format.bits = policy::bits;
  format.scales = scales;
  format.zero_points = detail::has_zero_points<Q>;
  const index_type length = q.cut(extents).length;
  format.block = length < extents[1] ? length : extents[1];
  if constexpr (policy::bits == 4) {
    for (unsigned i = 0; i < 16; ++i) {
      format.levels[i] =
          detail::has_zero_points<Q> ? static_cast<float>(i) : detail::level_of(q, i);
    }
  }
  return format;
}

template <a_quantizer Q>
constexpr index_type weight_only_size(const Q& q, const shape_type<2>& extents,
                                      scale_format scales = scale_format::float32) noexcept {
  return weight_only_size(weight_only_format_of(q, extents, scales), extents[0], extents[1]);
}

// Statuses as above; too_few_params and too_few_codes also where codes or params are shorter than
// q.required() says, bad_argument also where a block crosses the end of a row.
template <a_quantizer Q>
constexpr result<weight_only> pack_weight_only(
    const Q& q, const shape_type<2>& extents,
    std::span<const std::type_identity_t<typename Q::stored_type>> codes,
    std::span<const std::type_identity_t<typename Q::param_type>> params,
    std::span<std::uint8_t> storage, scale_format scales = scale_format::float32) noexcept {
  const sizes need = q.required(extents);
  if (static_cast<index_type>(params.size()) < need.params) return status::too_few_params;
  if (static_cast<index_type>(codes.size()) < need.codes) return status::too_few_codes;
  const weight_only_format format = weight_only_format_of(q, extents, scales);
  const slices cut = q.cut(extents);
  if (cut.row != extents[1] && cut.length % extents[1] != 0 && extents[1] % cut.length != 0) {
    return status::bad_argument;
  }

  struct source_type {
    const typename Q::stored_type* codes;
    const typename Q::param_type* params;
    slices cut;
    index_type inputs, block;

    constexpr std::int32_t code(index_type n, index_type k) const noexcept {
      const auto code = Q::layout_type::template load<typename Q::code_type>(codes, n * inputs + k);
      return std::int32_t{code} - (detail::has_zero_points<Q> ? detail::lowest_code<Q>() : 0);
    }
    constexpr const typename Q::param_type& param(index_type n, index_type b) const noexcept {
      return params[cut.param_of(n * inputs + b * block)];
    }
    constexpr float scale(index_type n, index_type b) const noexcept { return param(n, b).scale; }
    constexpr std::int32_t zero(index_type n, index_type b) const noexcept {
      if constexpr (detail::has_zero_points<Q>) {
        return param(n, b).zero_point - detail::lowest_code<Q>();
      } else {
        return 0;
      }
    }
  };
  const source_type source{codes.data(), params.data(), cut, extents[1], format.block};
  return pack_weight_only(format, extents[0], extents[1], source, storage);
}

}  // namespace vq::inline v1

#endif
