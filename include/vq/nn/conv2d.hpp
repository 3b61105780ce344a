// Quantized 2-D convolution (cross-correlation), exact in integers up to the output stage:
//
//   acc[n][o][y][x] = bias[o] + sum over (c, i, j) of
//                     (in[n][g * C + c][y * s - p + i * d][x * s - p + j * d] - Zx) * (w - Zw[o])
//   out[n][o][y][x] = stage(acc, o)                  with the padding read as Zx, the code of zero
//
// Extents are (N, C, H, W); the strides of the views say how they lie in memory. Channels last
// (NHWC) is the fast order: the kernels read the rows of a window where they are, without a patch
// matrix. Padded images, and all others than channels-last ones, are copied a few rows at a time
// into the workspace first. int8 and uint8 activations, grouped and depthwise kernels.
//
// To share one convolution among threads give each of them a part of the batch, or of the rows with
// its own padding (top and bottom are separate), and a workspace of its own.
#ifndef VQ_NN_CONV2D_HPP
#define VQ_NN_CONV2D_HPP

#include <cstdint>
#include <limits>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/nn/weights.hpp>

namespace vq::inline v1 {

namespace detail {

inline constexpr index_type tile_rows = 32;     // output positions...
inline constexpr index_type tile_columns = 64;  // ...and channels that one tile holds
inline constexpr index_type band_rows = 4;      // output rows between two copies of input rows

constexpr index_type lesser(index_type a, index_type b) noexcept { return a < b ? a : b; }

template <byte_code X>
constexpr void copy_codes(const X* __restrict from, index_type size, X* __restrict to) noexcept {
  for (index_type i = 0; i < size; ++i) to[i] = from[i];
}
template <byte_code X>
constexpr X* fill_codes(X code, index_type size, X* to) noexcept {
  for (index_type i = 0; i < size; ++i) to[i] = code;
  return to + size;
}

// How a convolution walks its input.
struct conv2d_plan {
  bool copies = false;   // input rows go through the workspace
  index_type pixel = 0;  // codes per pixel of such a row
  index_type width = 0;  // pixels of such a row
  index_type start = 0;  // sizes in the workspace, in int32
  index_type accumulators = 0;
  index_type band = 0;

  constexpr index_type total() const noexcept { return start + accumulators + band; }
};

template <byte_code X>
constexpr conv2d_plan plan_conv2d(const tensor_view<const X, 4>& x, const packed_weights& w,
                                  const window2d& window) noexcept {
  const index_type channels = x.extent(1);
  const bool whole_groups = w.inputs % panel::group == 0 || w.taps() == 1 || w.groups > 1;
  const size2d out = output_size({x.extent(2), x.extent(3)}, w.kernel, window);
  conv2d_plan plan;
  plan.copies =
      window.padding.any() || (x.stride(1) != 1 && channels != 1) || w.depthwise() || !whole_groups;
  plan.start = w.jobs() * w.padded_columns();
  plan.accumulators = tile_rows * lesser(tile_columns, w.padded_columns());
  if (!plan.copies || out.height == 0 || out.width == 0) return plan;
  plan.pixel = w.depthwise()   ? w.padded_columns()
               : w.groups == 1 ? panel::round_up(channels, panel::group)
                               : channels;
  plan.width =
      (out.width - 1) * window.stride.width + window_span(w.kernel.width, window.dilation.width);
  const index_type rows = (lesser(band_rows, out.height) - 1) * window.stride.height +
                          window_span(w.kernel.height, window.dilation.height);
  plan.band = (rows * plan.width * plan.pixel + 3) / 4;
  return plan;
}

// One padded input row, channels last; `y` may lie outside of the image. Codes beyond the channels
// of a pixel are zero: the weights that meet them are zero too.
template <byte_code X>
constexpr void copy_row(const tensor_view<const X, 4>& x, index_type image, index_type y,
                        index_type left, X zero, const conv2d_plan& plan, X* out) noexcept {
  const index_type channels = x.extent(1);
  const auto pad = [&](index_type pixels) {
    for (index_type i = 0; i < pixels; ++i) {
      out = fill_codes(zero, channels, out);
      out = fill_codes(X{0}, plan.pixel - channels, out);
    }
  };
  if (y < 0 || y >= x.extent(2)) return pad(plan.width);
  pad(lesser(left, plan.width));
  const index_type room = plan.width - lesser(left, plan.width);
  const index_type count = lesser(room, x.extent(3));
  const X* from = x.data_handle() + image * x.stride(0) + y * x.stride(2);
  if (x.stride(1) == 1 && x.stride(3) == plan.pixel && channels == plan.pixel) {
    copy_codes(from, count * channels, out);
    out += count * channels;
  } else if (x.stride(1) == 1) {
    for (index_type i = 0; i < count; ++i) {
      copy_codes(from + i * x.stride(3), channels, out);
      out = fill_codes(X{0}, plan.pixel - channels, out + channels);
    }
  } else {
    for (index_type c = 0; c < plan.pixel; ++c) {
      const X* plane = from + c * x.stride(1);
      for (index_type i = 0; i < count; ++i) {
        out[i * plan.pixel + c] = c < channels ? plane[i * x.stride(3)] : X{0};
      }
    }
    out += count * plan.pixel;
  }
  pad(room - count);
}

// The outputs of one job of the weights (see packed_weights) at the positions of `a`.
template <class Operation, execution E, byte_code X, output_stage Stage>
constexpr void multiply_rows(const code_rows<X>& a, const packed_weights& w, index_type job,
                             const std::int32_t* start, const Stage& stage,
                             stage_tile<typename Stage::output_type> to,
                             std::int32_t* accumulators) noexcept {
  const index_type columns = w.columns(), first = job * columns;
  const index_type b_step = w.depthwise() ? w.padded_columns() : w.block_step();
  const std::int8_t* b = w.codes + job * w.job_step();
  const bool zero_points = w.has_zero_points();
  to.acc = accumulators;
  to.acc_step = lesser(tile_columns, w.padded_columns());
  auto* out = to.out;
  for (index_type n = 0; n < columns; n += tile_columns) {
    to.channels = lesser(columns - n, tile_columns);
    to.first_channel = first + n;
    const index_type blocks = panel::blocks(to.channels);
    for (index_type m = 0; m < a.count; m += tile_rows) {
      code_rows<X> part = a;
      part.first += m * a.step + n * Operation::column_step;
      part.count = to.rows = lesser(a.count - m, tile_rows);
      kernel<Operation, E>{}(part, b + Operation::skip(b_step, n / panel::columns), b_step, blocks,
                             start + job * w.padded_columns() + n, accumulators, to.acc_step);
      if (zero_points) {
        for (index_type row = 0; row < part.count; ++row) {
          std::int32_t* acc = accumulators + row * to.acc_step;
          std::int32_t sum = Operation::sum_of(part, row, 0);
          for (index_type c = 0; c < to.channels; ++c) {
            if (Operation::column_step != 0) sum = Operation::sum_of(part, row, c);
            acc[c] = wrapping_add(acc[c], wrapping_mul(-w.zero_point(first + n + c), sum));
          }
        }
      }
      to.out = out + m * to.out_step + n * to.out_channel_step;
      kernel<requantize_tile<Stage>, E>{}(stage, to);
    }
  }
}

// A 1x1 convolution with stride 1 does not care about rows and images: where all positions lie at
// one distance, they are one long row.
template <class T>
constexpr bool is_one_row(const tensor_view<T, 4>& x) noexcept {
  const bool rows = x.extent(2) == 1 || x.stride(2) == x.extent(3) * x.stride(3);
  return rows && (x.extent(0) == 1 || x.stride(0) == x.extent(2) * x.extent(3) * x.stride(3));
}
template <class T>
constexpr tensor_view<T, 4> as_one_row(const tensor_view<T, 4>& x) noexcept {
  return {x.data_handle(),
          {1, x.extent(1), 1, x.extent(0) * x.extent(2) * x.extent(3)},
          {0, x.stride(1), 0, x.stride(3)}};
}

template <class Operation, execution E, byte_code X, output_stage Stage>
constexpr void conv2d(const tensor_view<const X, 4>& x, X x_zero_point, const packed_weights& w,
                      const window2d& window, const Stage& stage,
                      const tensor_view<typename Stage::output_type, 4>& y, const conv2d_plan& plan,
                      const std::int32_t* start, std::int32_t* accumulators, X* band) noexcept {
  code_rows<X> a;
  const index_type pixel = plan.copies ? plan.pixel : x.stride(3);
  const index_type row = plan.copies ? plan.width * pixel : x.stride(2);
  a.step = window.stride.width * pixel;
  a.count = y.extent(3);
  a.depth = w.inputs;
  a.outer = w.kernel.height;
  a.outer_step = window.dilation.height * row;
  a.inner = w.kernel.width;
  a.inner_step = window.dilation.width * pixel;
  const bool gapless = pixel % panel::group == 0 && (plan.copies || pixel == w.inputs);
  if (gapless && w.groups == 1 && (window.dilation.width == 1 || a.inner == 1)) {
    a.depth = a.inner * pixel;  // the pixels of a kernel row are one run of codes
    a.inner = 1;
  }

  for (index_type image = 0; image < y.extent(0); ++image) {
    for (index_type oy = 0; oy < y.extent(2); ++oy) {
      const index_type top = oy * window.stride.height - window.padding.top;
      if (!plan.copies) {
        a.first = x.data_handle() + image * x.stride(0) + top * x.stride(2);
      } else {
        if (oy % band_rows == 0) {
          const index_type last = lesser(band_rows, y.extent(2) - oy) - 1;
          const index_type rows =
              last * window.stride.height + window_span(w.kernel.height, window.dilation.height);
          for (index_type i = 0; i < rows; ++i) {
            copy_row(x, image, top + i, window.padding.left, x_zero_point, plan, band + i * row);
          }
        }
        a.first = band + oy % band_rows * window.stride.height * row;
      }
      for (index_type job = 0; job < w.jobs(); ++job) {
        stage_tile<typename Stage::output_type> to;
        to.out = y.data_handle() + image * y.stride(0) + oy * y.stride(2) +
                 job * w.columns() * y.stride(1);
        to.out_step = y.stride(3);
        to.out_channel_step = y.stride(1);
        multiply_rows<Operation, E>(a, w, job, start, stage, to, accumulators);
        a.first += w.inputs;
      }
    }
  }
}

}  // namespace detail

// How many int32 conv2d() needs as its workspace for inputs of this shape and memory order (the
// data pointer is not looked at).
template <byte_code X>
constexpr index_type conv2d_workspace(const tensor_view<const X, 4>& x, const packed_weights& w,
                                      const window2d& window = {}) noexcept {
  return detail::plan_conv2d(x, w, window).total();
}

// `bias`: one int32 per output in units of x.scale * w.scale, or none.
// size_mismatch where x, w, window and y do not fit together; bad_argument where a zero point is no
// code of X, a stride is not positive or a padding is negative; too_few_params,
// too_little_workspace.
template <execution E, byte_code X, output_stage Stage>
status conv2d(E, const tensor_view<const X, 4>& x, std::int32_t x_zero_point,
              const packed_weights& w, std::span<const std::int32_t> bias, const window2d& window,
              const Stage& stage,
              const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y,
              std::span<std::int32_t> workspace) noexcept {
  if (!window.valid() || x_zero_point < (std::numeric_limits<X>::min)() ||
      x_zero_point > (std::numeric_limits<X>::max)()) {
    return status::bad_argument;
  }
  const size2d out = output_size({x.extent(2), x.extent(3)}, w.kernel, window);
  if (x.extent(1) != w.inputs * w.groups ||
      y.extents() != shape_type<4>{x.extent(0), w.outputs, out.height, out.width}) {
    return status::size_mismatch;
  }
  if (!bias.empty() && static_cast<index_type>(bias.size()) < w.outputs) {
    return status::too_few_params;
  }
  if (const status s = stage.check(w.outputs); s != status::ok) return s;
  const detail::conv2d_plan plan = detail::plan_conv2d(x, w, window);
  if (static_cast<index_type>(workspace.size()) < plan.total()) return status::too_little_workspace;
  if (y.empty()) return status::ok;

  const auto run = [&]<class Operation>(Operation) {
    std::int32_t* start = workspace.data();
    for (index_type i = 0; i < plan.start; ++i) start[i] = 0;  // columns that pad a block, too
    for (index_type o = 0; o < w.outputs; ++o) {
      start[o / w.columns() * w.padded_columns() + o % w.columns()] =
          start_of(w, o, bias.empty() ? 0 : bias[static_cast<std::size_t>(o)], x_zero_point,
                   kernel<Operation, E>::shift());
    }
    std::int32_t* accumulators = start + plan.start;
    X* band = reinterpret_cast<X*>(accumulators + plan.accumulators);
    const bool flat = w.taps() == 1 && window.stride == size2d{} && !plan.copies &&
                      detail::is_one_row(x) && detail::is_one_row(y);
    detail::conv2d<Operation, E>(flat ? detail::as_one_row(x) : x, static_cast<X>(x_zero_point), w,
                                 window, stage, flat ? detail::as_one_row(y) : y, plan, start,
                                 accumulators, band);
  };
  if (w.depthwise()) {
    run(multiply_taps<X>{});
  } else {
    run(multiply_panel<X>{});
  }
  return status::ok;
}
template <byte_code X, output_stage Stage>
status conv2d(const tensor_view<const X, 4>& x, std::int32_t x_zero_point, const packed_weights& w,
              std::span<const std::int32_t> bias, const window2d& window, const Stage& stage,
              const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y,
              std::span<std::int32_t> workspace) noexcept {
  return conv2d(scalar, x, x_zero_point, w, bias, window, stage, y, workspace);
}

}  // namespace vq::inline v1

#endif
