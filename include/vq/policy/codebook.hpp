// Codebooks: codes that name the entries of a fixed table, nearest entry wins.
//
//   value = levels[code] * scale,  scale = absmax / largest |level|
//   code  = the level nearest to x / scale; on a midpoint, the lower of the two
//
// A table is a tag with `name` and `levels`, 2^bits floats in the order of the codes; the levels
// need not rise. The midpoints are those of the rising levels, in float.
//
//   struct quartiles {
//     static constexpr const char* name = "quartiles";
//     static constexpr float levels[4] = {-1, -0.33f, 0.33f, 1};
//   };
//   vq::quantizer<vq::codebook<quartiles>, vq::per_block<64>> q;
//
// Follows bitsandbytes' portable backend to the bit (backends/default/ops.py): x is multiplied by
// the reciprocal of the scale; a short run divides by it; a scale below 1e-38 counts as 1e-38, and
// the scale of zeros is 0 (of a short run 1e-38). Values beyond the ends get the end; NaN gets the
// lowest level. Of two equal levels (FP4's zeros) the one with the lower code is the lower.
#ifndef VQ_POLICY_CODEBOOK_HPP
#define VQ_POLICY_CODEBOOK_HPP

#include <bit>
#include <cstddef>
#include <cstdint>

#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

namespace detail {

template <class T, std::size_t N>
constexpr std::size_t extent_of(const T (&)[N]) noexcept {
  return N;
}

}  // namespace detail

// The levels of a table in rising order, and what lies between them.
template <class Table>
struct rising_levels {
  static constexpr std::size_t size = detail::extent_of(Table::levels);
  static_assert(size >= 2 && size <= 256 && std::has_single_bit(size),
                "codebook: a table has 2, 4, 8, ... or 256 levels");

  float code[size] = {};          // of the i-th smallest level
  float midpoint[size - 1] = {};  // between the i-th and the next
  float largest = 0;              // magnitude
  bool rise = true;               // code i is the i-th smallest level

  constexpr rising_levels() noexcept {
    const auto level = [&](std::size_t i) {
      return Table::levels[static_cast<std::size_t>(code[i])];
    };
    for (std::size_t i = 0; i < size; ++i) {  // insertion keeps equal levels in order
      std::size_t at = i;
      for (; at > 0 && level(at - 1) > Table::levels[i]; --at) code[at] = code[at - 1];
      code[at] = static_cast<float>(i);
      rise = rise && at == i;
      largest = (op::max)(op::abs(Table::levels[i]), largest);
    }
    for (std::size_t i = 0; i + 1 < size; ++i) midpoint[i] = (level(i) + level(i + 1)) / 2;
  }
};

// The midpoints, for op::count_below.
template <class Table>
struct level_bounds {
  static constexpr rising_levels<Table> rising{};
  static constexpr const float (&values)[rising_levels<Table>::size - 1] = rising.midpoint;
  static constexpr float reach = rising.largest;  // of the magnitudes that a fitted scale leaves
};

template <class Table>
struct codebook {
  static constexpr rising_levels<Table> rising{};
  static constexpr int bits = std::bit_width(rising.size - 1);
  static constexpr bool symmetric_range = true;
  static constexpr const char* name = Table::name;
  using table = Table;
  using code_type = std::uint8_t;
  using param_type = scale_param;

  static constexpr float smallest_scale = 1e-38f;

  constexpr param_type fit(range r) const noexcept {
    return {r.empty() ? 0.f : r.absmax() / rising.largest};
  }
  constexpr param_type fit_short(range r) const noexcept {
    return {(op::max)(fit(r).scale, smallest_scale)};
  }

  template <float_lanes V>
  constexpr V fit_absmax(V absmax) const noexcept {
    if constexpr (rising.largest == 1) {
      return absmax;
    } else {
      return op::divide(absmax, V(rising.largest));
    }
  }
  static constexpr param_type param_of(float scale) noexcept { return {scale}; }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    return nearest(x * V(1 / (op::max)(p.scale, smallest_scale)));
  }
  template <float_lanes V>
  constexpr V encode_short(V x, param_type p) const noexcept {
    return nearest(op::divide(x, V((op::max)(p.scale, smallest_scale))));
  }

  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    return op::lookup(Table::levels, code) * V(p.scale);
  }

  // False beyond the ends of the table: the mask of the straight-through gradient.
  template <float_lanes V>
  constexpr auto in_range(V x, param_type p) const noexcept {
    return op::abs(x) <= V(p.scale * rising.largest);
  }

  // The code of the level nearest to t.
  template <float_lanes V>
  static constexpr V nearest(V t) noexcept {
    const V rank = op::count_below<level_bounds<Table>>(t);
    if constexpr (rising.rise) {
      return rank;
    } else {
      return op::lookup(rising.code, rank);
    }
  }
};

}  // namespace vq::inline v1

#endif
