// The integer product under linear layers and convolutions, exact in int32:
//
//   c[m][n] = start[n] + sum over k of (a[m][k] + shift) * b[n][k]
//
// a: int8 or uint8 codes as they lie in memory. A row may consist of segments (the kernel rows of a
// convolution), so that no patch needs to be copied. b: int8, packed once into panels of 16 columns
// by 4 steps of k, in the order [n / 16][k / 4][n % 16][k % 4] with zeros beyond the ends: one
// register holds 4 steps of 16 columns, and every kernel reads nothing but whole registers of b.
//
// shift() is a constant of the kernel: 0 for the reference. Instructions that multiply unsigned by
// signed bytes take signed a as a + 128; the caller makes up for it in `start` (see start_of).
// Exact means: every partial sum is kept modulo 2^32, and nothing saturates on the way.
#ifndef VQ_NN_GEMM_HPP
#define VQ_NN_GEMM_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

template <class T>
concept byte_code = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

namespace panel {

inline constexpr index_type columns = 16;
inline constexpr index_type group = 4;  // neighbouring steps of k

constexpr index_type round_up(index_type x, index_type unit) noexcept {
  return (x + unit - 1) / unit * unit;
}
constexpr index_type blocks(index_type n) noexcept { return (n + columns - 1) / columns; }

}  // namespace panel

// Sums modulo 2^32, without undefined overflow.
constexpr std::int32_t wrapping_add(std::int32_t a, std::int32_t b) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}
constexpr std::int32_t wrapping_mul(std::int32_t a, std::int32_t b) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
}

// `count` rows of a. Row m begins at first + m * step and has outer * inner segments of `depth`
// codes; segment (i, j) begins at i * outer_step + j * inner_step from there. Each segment takes
// round_up(depth, 4) steps of k in the panel.
template <byte_code A>
struct code_rows {
  const A* first = nullptr;
  index_type step = 0;
  index_type count = 0;
  index_type depth = 0;
  index_type outer = 1;
  index_type outer_step = 0;
  index_type inner = 1;
  index_type inner_step = 0;

  template <class F>
  constexpr void for_each_segment(index_type m, F f) const noexcept {
    for (index_type i = 0; i < outer; ++i) {
      for (index_type j = 0; j < inner; ++j) {
        f(first + m * step + i * outer_step + j * inner_step);
      }
    }
  }
};

// Writes `blocks` * 16 columns of c for each row, c_step apart. `start` has as many values.
// `b_step` is the distance of two blocks of 16 columns in b.
template <byte_code A>
struct multiply_panel {
  static constexpr std::int32_t shift() noexcept { return 0; }
  static constexpr index_type column_step = 0;  // all columns see the same codes of a

  static constexpr index_type skip(index_type b_step, index_type blocks) noexcept {
    return blocks * b_step;
  }
  // Of the codes of row m that column n multiplies.
  static constexpr std::int32_t sum_of(const code_rows<A>& a, index_type m, index_type) noexcept {
    std::int32_t sum = 0;
    a.for_each_segment(m, [&](const A* segment) {
      for (index_type k = 0; k < a.depth; ++k) sum += segment[k];
    });
    return sum;
  }

  constexpr void operator()(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                            index_type blocks, const std::int32_t* start, std::int32_t* c,
                            index_type c_step) const noexcept {
    for (index_type block = 0; block < blocks; ++block) {
      for (index_type m = 0; m < a.count; ++m) {
        row(a, m, b + block * b_step, start + block * panel::columns,
            c + m * c_step + block * panel::columns);
      }
    }
  }

 private:
  static constexpr void row(const code_rows<A>& a, index_type m, const std::int8_t* b,
                            const std::int32_t* start, std::int32_t* c) noexcept {
    std::int32_t sum[panel::columns] = {};
    for (index_type n = 0; n < panel::columns; ++n) sum[n] = start[n];
    a.for_each_segment(m, [&](const A* segment) {
      for (index_type k = 0; k < a.depth; k += panel::group, b += panel::columns * panel::group) {
        for (index_type l = 0; l < panel::group && k + l < a.depth; ++l) {
          const std::int32_t code = segment[k + l];
          for (index_type n = 0; n < panel::columns; ++n) {
            sum[n] = wrapping_add(sum[n], code * b[n * panel::group + l]);
          }
        }
      }
    });
    for (index_type n = 0; n < panel::columns; ++n) c[n] = sum[n];
  }
};

// Depthwise: every channel has its own kernel, so the sum runs over the taps alone,
//
//   c[m][n] = start[n] + sum over (i, j) of a[m][i][j][n] * b[i * inner + j][n]
//
// for `blocks` * 16 channels; each tap of `a` and of b has that many codes (a.depth is not used).
// `b_step` is the distance of two taps in b.
template <byte_code A>
struct multiply_taps {
  static constexpr std::int32_t shift() noexcept { return 0; }
  static constexpr index_type column_step = 1;  // column n sees the codes n elements further

  static constexpr index_type skip(index_type, index_type blocks) noexcept {
    return blocks * panel::columns;
  }
  static constexpr std::int32_t sum_of(const code_rows<A>& a, index_type m, index_type n) noexcept {
    std::int32_t sum = 0;
    a.for_each_segment(m, [&](const A* tap) { sum += tap[n]; });
    return sum;
  }

  constexpr void operator()(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                            index_type blocks, const std::int32_t* start, std::int32_t* c,
                            index_type c_step) const noexcept {
    const index_type channels = blocks * panel::columns;
    for (index_type m = 0; m < a.count; ++m, c += c_step) {
      for (index_type n = 0; n < channels; ++n) c[n] = start[n];
      const std::int8_t* weight = b;
      a.for_each_segment(m, [&](const A* tap) {
        for (index_type n = 0; n < channels; ++n) {
          c[n] = wrapping_add(c[n], std::int32_t{tap[n]} * weight[n]);
        }
        weight += b_step;
      });
    }
  }
};

}  // namespace vq::inline v1

#endif
