// Residual addition of two tensors of codes, each with its own scale and zero point.
//
//   y = clamp(Zy + round((a - Za) * a.scale / y.scale + (b - Zb) * b.scale / y.scale))
//
// in integers: a ratio of scales is a multiplier of 30 bits over 2^shift, and the multipliers are
// kept in two halves of 15 bits,
//
//   high = (a - Za) * a_high + (b - Zb) * b_high,  low likewise,  sum = (high * 2^15 + low) / 2^shift
//
// so that 16-bit multiply-add instructions (SMLAD, vpmaddwd, smlal) do it and all sums fit an int32.
// Each multiplier is off by at most 1/2, so the sum by 255 / 2^shift: 2^-21 codes where no ratio
// exceeds 2. That bound is added before rounding: exact halves are rounded up on all scales.
//
// To share the work among threads give each of them a part of the tensors.
#ifndef VQ_NN_ADD_HPP
#define VQ_NN_ADD_HPP

#include <bit>
#include <cstdint>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/gemm.hpp>
#include <vq/quantizer/requantize.hpp>

namespace vq::inline v1 {

struct add_param {
  static constexpr std::int32_t slack = 255;  // the bound of the error, in units of low

  std::int32_t a_zero_point = 0;
  std::int32_t b_zero_point = 0;
  std::int32_t a_high = 0;
  std::int32_t a_low = 0;
  std::int32_t b_high = 0;
  std::int32_t b_low = 0;
  std::int32_t shift = 1;  // of high: 2^15 less than that of the multipliers
  std::int32_t zero_point = 0;
  std::int32_t lowest = 0;
  std::int32_t highest = 0;
};

// `codes` says which codes y has: all of its type, or those that an activation leaves (relu,
// relu6). not_finite where a ratio of scales is no positive number, overflow where it is 2^8 or
// more, bad_argument where a zero point is no code of 8 bits.
constexpr result<add_param> fit_add(affine_param a, affine_param b, affine_param y,
                                    const code_limits& codes) noexcept {
  const double a_ratio = static_cast<double>(a.scale) / static_cast<double>(y.scale);
  const double b_ratio = static_cast<double>(b.scale) / static_cast<double>(y.scale);
  const double most = a_ratio > b_ratio ? a_ratio : b_ratio;
  if (!(a_ratio > 0 && b_ratio > 0 && most < 1e30)) return status::not_finite;
  if (most >= 4096) return status::overflow;
  for (const affine_param& p : {a, b, y}) {
    if (p.zero_point < -128 || p.zero_point > 255) return status::bad_argument;
  }

  // 2^exponent <= most: the larger multiplier is in [2^29, 2^30).
  const int exponent = static_cast<int>(std::bit_cast<std::uint64_t>(most) >> 52) - 1023;
  const int shift = exponent < -15 ? 44 : 29 - exponent;
  const auto multiplier = [&](double ratio) {
    const double rounded =
        affine::round_even(ratio * static_cast<double>(std::int64_t{1} << shift));
    return static_cast<std::int32_t>(rounded < 0x1p30 ? rounded : 0x1p30 - 1);
  };
  const std::int32_t ma = multiplier(a_ratio), mb = multiplier(b_ratio);
  return add_param{.a_zero_point = a.zero_point,
                   .b_zero_point = b.zero_point,
                   .a_high = ma >> 15,
                   .a_low = ma & 0x7fff,
                   .b_high = mb >> 15,
                   .b_low = mb & 0x7fff,
                   .shift = shift - 15,
                   .zero_point = y.zero_point,
                   .lowest = codes.lowest,
                   .highest = codes.highest};
}

// `count` neighbouring codes.
template <byte_code A, byte_code B, byte_code Y>
struct add_codes {
  constexpr void operator()(const add_param& p, const A* a, const B* b, index_type count,
                            Y* y) const noexcept {
    const std::int32_t half = std::int32_t{1} << (p.shift - 1);
    for (index_type i = 0; i < count; ++i) {
      const std::int32_t from_a = a[i] - p.a_zero_point, from_b = b[i] - p.b_zero_point;
      const std::int32_t high = from_a * p.a_high + from_b * p.b_high;
      const std::int32_t low = from_a * p.a_low + from_b * p.b_low + add_param::slack;
      const std::int32_t code = p.zero_point + ((high + (low >> 15) + half) >> p.shift);
      y[i] = static_cast<Y>(code < p.lowest ? p.lowest : (code > p.highest ? p.highest : code));
    }
  }
};

namespace detail {

// True when the values fill their memory without gaps, in whatever order of the axes.
template <class T, int Rank>
constexpr bool is_dense(const tensor_view<T, Rank>& x) noexcept {
  index_type step = 1;
  for (int found = 0; found < Rank; ++found) {
    if (step == x.size()) return true;
    int axis = 0;
    while (axis < Rank && !(x.extent(axis) != 1 && x.stride(axis) == step)) ++axis;
    if (axis == Rank) return false;
    step *= x.extent(axis);
  }
  return step == x.size();
}

}  // namespace detail

// y = a + b on views of equal extents. Views of the same dense memory order (channels last, say)
// are one run for the kernel. size_mismatch where the extents differ.
template <execution E, byte_code A, byte_code B, byte_code Y, int Rank>
constexpr status add(E, const add_param& p, const tensor_view<const A, Rank>& a,
                     const tensor_view<const B, Rank>& b, const tensor_view<Y, Rank>& y) noexcept {
  if (a.extents() != y.extents() || b.extents() != y.extents()) return status::size_mismatch;
  if (y.empty()) return status::ok;
  const auto run = [&](index_type from_a, index_type from_b, index_type to, index_type count) {
    kernel<add_codes<A, B, Y>, E>{}(p, a.data_handle() + from_a, b.data_handle() + from_b, count,
                                    y.data_handle() + to);
  };
  if (a.strides() == y.strides() && b.strides() == y.strides() && detail::is_dense(y)) {
    run(0, 0, 0, y.size());
    return status::ok;
  }

  int axis = Rank - 1;  // the one to run along
  for (int i = 0; i < Rank; ++i) {
    if (a.stride(i) == 1 && b.stride(i) == 1 && y.stride(i) == 1 && y.extent(i) > 1) axis = i;
  }
  const bool unit = a.stride(axis) == 1 && b.stride(axis) == 1 && y.stride(axis) == 1;
  const index_type length = y.extent(axis);
  for (index_type row = 0; row < y.size() / length; ++row) {
    index_type from_a = 0, from_b = 0, to = 0, rest = row;
    for (int i = Rank; i-- > 0;) {
      if (i == axis) continue;
      const index_type at = rest % y.extent(i);
      from_a += at * a.stride(i);
      from_b += at * b.stride(i);
      to += at * y.stride(i);
      rest /= y.extent(i);
    }
    if (unit) {
      run(from_a, from_b, to, length);
      continue;
    }
    for (index_type i = 0; i < length; ++i) {
      run(from_a + i * a.stride(axis), from_b + i * b.stride(axis), to + i * y.stride(axis), 1);
    }
  }
  return status::ok;
}
template <byte_code A, byte_code B, byte_code Y, int Rank>
constexpr status add(const add_param& p, const tensor_view<const A, Rank>& a,
                     const tensor_view<const B, Rank>& b, const tensor_view<Y, Rank>& y) noexcept {
  return add(scalar, p, a, b, y);
}

}  // namespace vq::inline v1

#endif
