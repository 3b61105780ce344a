// The integer product under linear layers and convolutions, exact in int32 up to its output stage:
//
//   y[m][n] = stage(start[n] + sum over k of a[m][k] * b[n][k], n)
//
// a: int8 or uint8 codes as they lie in memory. A row may consist of segments (the kernel rows of a
// convolution) and the rows of runs (the rows of an image), so that no patch needs to be copied.
// b: int8, packed once into panels of 64 columns in the order [n / 64][k / 4][n % 64][k % 4], with
// zeros beyond the depth of a segment; the columns of the last panel are rounded up to 16. A panel
// is one stream of memory: a register holds 4 steps of k of 16 columns.
//
// Exact means: every partial sum is kept modulo 2^32, and nothing saturates on the way.
#ifndef VQ_NN_GEMM_HPP
#define VQ_NN_GEMM_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <vq/core/dispatch.hpp>
#include <vq/core/execution.hpp>
#include <vq/quantizer/requantize.hpp>

namespace vq::inline v1 {

template <class T>
concept byte_code = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

namespace panel {

inline constexpr index_type columns = 16;  // of a block, the unit of padding
inline constexpr index_type width = 64;    // columns of a panel
inline constexpr index_type group = 4;     // neighbouring steps of k

constexpr index_type round_up(index_type x, index_type unit) noexcept {
  return (x + unit - 1) / unit * unit;
}
constexpr index_type blocks(index_type n) noexcept { return (n + columns - 1) / columns; }
// Columns of the panel that begins at column n of `padded`.
VQ_INLINE constexpr index_type width_at(index_type n, index_type padded) noexcept {
  return padded - n < width ? padded - n : width;
}

}  // namespace panel

// Sums modulo 2^32, without undefined overflow.
constexpr std::int32_t wrapping_add(std::int32_t a, std::int32_t b) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}
constexpr std::int32_t wrapping_mul(std::int32_t a, std::int32_t b) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
}

// Rows that lie `step` apart, `run` of them; run after run begins `run_step` further.
template <class T>
struct row_cursor {
  T* begin;
  index_type step;
  index_type run;
  index_type run_step;
  T* at = begin;
  index_type left = run;

  VQ_INLINE constexpr T* next() noexcept {
    T* now = at;
    at += step;
    if (--left == 0) {
      at = begin += run_step;
      left = run;
    }
    return now;
  }
};

// Where windows reach beyond an image: row 0 of the first run's windows is row `top` of the image,
// column 0 of each run's first window its column `left`, and what lies outside is read from `zeros`, a
// row of the image. Rows are outer_step apart and pixels inner_step (no dilation).
template <byte_code A>
struct image_frame {
  const A* zeros = nullptr;  // none: windows lie inside
  index_type top = 0;
  index_type left = 0;
  index_type height = 0;
  index_type width = 0;
  index_type down = 0;    // rows from the windows of one run to those of the next
  index_type across = 0;  // pixels from one window to the next
};

// `count` rows of a in runs of `run`, the last of which may be short. A row has outer * inner
// segments of `depth` codes; segment (i, j) begins at i * outer_step + j * inner_step. Each segment
// takes round_up(depth, 4) steps of k in the panel.
template <byte_code A>
struct code_rows {
  const A* first = nullptr;
  index_type step = 0;
  index_type count = 0;
  index_type run = 0;  // 0: all rows are one run
  index_type run_step = 0;
  index_type depth = 0;
  index_type outer = 1;
  index_type outer_step = 0;
  index_type inner = 1;
  index_type inner_step = 0;
  image_frame<A> frame = {};  // for kernels that read frames; `first` is the image

  VQ_INLINE constexpr row_cursor<const A> rows() const noexcept {
    return {first, step, run == 0 ? count : run, run_step};
  }
  // The rows from `begin` on, which must begin a run unless all rows are one.
  VQ_INLINE constexpr code_rows part(index_type begin, index_type rows) const noexcept {
    code_rows some = *this;
    some.first += run == 0 ? begin * step : begin / run * run_step;
    some.count = rows;
    return some;
  }
  template <class F>
  constexpr void for_each_segment(const A* row, F f) const noexcept {
    for (index_type i = 0; i < outer; ++i) {
      for (index_type j = 0; j < inner; ++j) f(row + i * outer_step + j * inner_step);
    }
  }
};

// The columns of b from the beginning of a panel on.
struct code_panels {
  const std::int8_t* codes = nullptr;
  index_type depth = 0;                 // steps of k: a multiple of 4
  index_type padded_columns = 0;        // up to the end of b
  const std::int32_t* start = nullptr;  // padded_columns of them
};

// Where the results go: rows in the runs of a.
template <class Output>
struct output_rows {
  Output* first = nullptr;
  index_type step = 0;
  index_type run_step = 0;
  index_type channel_step = 1;
  index_type channels = 0;
  index_type first_channel = 0;  // for the stage

  // Those of the rows from `begin` on, as in code_rows.
  VQ_INLINE constexpr output_rows part(index_type begin, index_type run) const noexcept {
    output_rows some = *this;
    some.first += run == 0 ? begin * step : begin / run * run_step;
    return some;
  }
  VQ_INLINE constexpr row_cursor<Output> rows(index_type count, index_type run) const noexcept {
    return {first, step, run == 0 ? count : run, run_step};
  }
};

template <byte_code A, output_stage Stage = to_accumulators>
struct multiply_panel {
  using output_type = typename Stage::output_type;

  constexpr void operator()(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                            const output_rows<output_type>& to) const noexcept {
    for (index_type n = 0; n < to.channels; n += panel::columns) {
      const index_type begin = n / panel::width * panel::width;
      const index_type width = panel::width_at(begin, b.padded_columns);
      const std::int8_t* block = b.codes + begin * b.depth + (n - begin) * panel::group;
      auto from = a.rows();
      auto out = to.rows(a.count, a.run);
      for (index_type m = 0; m < a.count; ++m) {
        std::int32_t sum[panel::columns] = {};
        for (index_type c = 0; c < panel::columns; ++c) sum[c] = b.start[n + c];
        multiply(a, from.next(), block, width * panel::group, sum);
        output_type* y = out.next() + n * to.channel_step;
        for (index_type c = 0; c < panel::columns && n + c < to.channels; ++c) {
          output_type* const place = y + c * to.channel_step;
          *place = finished(stage, sum[c], to.first_channel + n + c, place);
        }
      }
    }
  }

 private:
  static constexpr void multiply(const code_rows<A>& a, const A* row, const std::int8_t* b,
                                 index_type b_step, std::int32_t* sum) noexcept {
    a.for_each_segment(row, [&](const A* segment) {
      for (index_type k = 0; k < a.depth; k += panel::group, b += b_step) {
        for (index_type l = 0; l < panel::group && k + l < a.depth; ++l) {
          const std::int32_t code = segment[k + l];
          for (index_type c = 0; c < panel::columns; ++c) {
            sum[c] = wrapping_add(sum[c], code * b[c * panel::group + l]);
          }
        }
      }
    });
  }
};

// Depthwise: every channel has its own kernel, so the sum runs over the taps alone,
//
//   y[m][n] = stage(start[n] + sum over (i, j) of a[m][i][j][n] * b[i][j][n], n)
//
// Tap (i, j) of a row is its segment (i, j): the codes of all channels (a.depth is not used). b has
// the taps as steps of k, column by column with the rows padded to a multiple of 4: k = j * rows + i.
// Its panels of 64 channels, of which the last may have 32 or 16, hold them in the order in which
// byte interleaving of 16-byte lanes leaves them: see taps::place.
namespace taps {

constexpr index_type padded(index_type channels) noexcept {
  const index_type whole = channels / panel::width * panel::width, rest = channels - whole;
  return whole + (rest > 32 ? 64 : panel::round_up(rest, panel::columns));
}
// Where channel c of a panel of `width` stands in it: (lane, quarter, rest) as (quarter, lane, rest).
VQ_INLINE constexpr index_type place(index_type c, index_type width) noexcept {
  return (c % 16 / 4 * (width / 16) + c / 16) * 4 + c % 4;
}

// Wide kernels take windows of so many columns, counted again for every 4 rows.
inline constexpr index_type most_columns = 64;

}  // namespace taps

template <byte_code A, output_stage Stage = to_accumulators>
struct multiply_taps {
  using output_type = typename Stage::output_type;

  constexpr void operator()(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                            const output_rows<output_type>& to) const noexcept {
    auto from = a.rows();
    auto out = to.rows(a.count, a.run);
    const index_type padded_rows = panel::round_up(a.outer, panel::group);
    for (index_type m = 0; m < a.count; ++m) {
      const A* row = from.next();
      output_type* y = out.next();
      for (index_type n = 0; n < to.channels; ++n) {
        const index_type begin = n / panel::width * panel::width;
        const index_type width = panel::width_at(begin, b.padded_columns);
        const index_type place = taps::place(n - begin, width);
        const std::int8_t* weights = b.codes + begin * b.depth + place * panel::group;
        std::int32_t sum = b.start[begin + place];
        for (index_type j = 0; j < a.inner; ++j) {
          for (index_type i = 0; i < a.outer; ++i) {
            const index_type k = j * padded_rows + i;
            const std::int32_t code = row[i * a.outer_step + j * a.inner_step + n];
            sum = wrapping_add(
                sum, code * weights[k / panel::group * width * panel::group + k % panel::group]);
          }
        }
        output_type* const out_place = y + n * to.channel_step;
        *out_place = finished(stage, sum, to.first_channel + n, out_place);
      }
    }
  }
};

// The codes that the kernels of an execution multiply: instructions that take unsigned by signed
// bytes want signed codes as code + 128 in uint8 (and the zero point with them), others the reverse.
template <byte_code X, execution E>
struct product_codes {
  using type = X;
};
#if defined(__x86_64__)
template <byte_code X>
struct product_codes<X, dispatch_t> {
  using type = std::uint8_t;
};
#elif defined(__aarch64__)
template <byte_code X>
struct product_codes<X, dispatch_t> {
  using type = std::int8_t;
};
#endif

// Whether multiply_taps of an execution reads images through an image_frame.
template <execution E, byte_code A>
inline constexpr bool reads_frames = false;
#if defined(__x86_64__)
template <byte_code A>
inline constexpr bool reads_frames<dispatch_t, A> = true;
#endif

// Codes of one type as the same numbers in another: int8 code c is uint8 c + 128, and back.
template <byte_code X, byte_code A>
struct copy_codes {
  constexpr void operator()(const X* from, index_type size, A* to) const noexcept {
    constexpr int flip = std::same_as<X, A> ? 0 : 128;
    for (index_type i = 0; i < size; ++i) to[i] = static_cast<A>(from[i] ^ flip);
  }
};

}  // namespace vq::inline v1

#endif
