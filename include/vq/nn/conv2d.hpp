// Quantized 2-D convolution (cross-correlation), exact in integers up to the output stage:
//
//   acc[n][o][y][x] = bias[o] + sum over (c, i, j) of
//                     (in[n][g * C + c][y * s - p + i * d][x * s - p + j * d] - Zx) * (w - Zw[o])
//   out[n][o][y][x] = stage(acc, o)                  with the padding read as Zx, the code of zero
//
// Extents are (N, C, H, W); the strides of the views say how they lie in memory. Channels last
// (NHWC) is the fast order: the kernels read the rows of a window where they are, without a patch
// matrix. Padded images, all others than channels-last ones, and codes of the type that an
// execution does not multiply (product_codes) are copied into the workspace first, a band of rows at
// a time. int8 and uint8 activations, grouped and depthwise kernels.
//
// The work is cut into images, bands of rows and panels of channels for the caller's threads.
#ifndef VQ_NN_CONV2D_HPP
#define VQ_NN_CONV2D_HPP

#include <cstdint>
#include <limits>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/nn/weights.hpp>

namespace vq::inline v1 {

namespace detail {

constexpr index_type lesser(index_type a, index_type b) noexcept { return a < b ? a : b; }
constexpr index_type greater(index_type a, index_type b) noexcept { return a > b ? a : b; }
constexpr index_type ceil_div(index_type a, index_type b) noexcept { return (a + b - 1) / b; }

template <byte_code X>
constexpr X* fill_codes(X code, index_type size, X* to) noexcept {
  for (index_type i = 0; i < size; ++i) to[i] = code;
  return to + size;
}

// How a convolution walks its input, and the sizes of its workspace in int32.
struct conv2d_plan {
  static constexpr index_type tile_rows = 32;  // of accumulators, where weights have zero points

  bool copies = false;   // input rows go through the workspace
  index_type pixel = 0;  // codes per pixel of such a row
  index_type width = 0;  // pixels of such a row
  index_type rows = 0;   // output rows of a band
  index_type bands = 0;  // of an image
  index_type units = 0;  // of a part: panels of channels, or groups
  index_type parts = 0;  // of a band
  index_type start = 0;
  index_type accumulators = 0;
  index_type band = 0;

  constexpr index_type of_worker() const noexcept { return accumulators + band; }
  constexpr index_type total(index_type workers) const noexcept {
    return start + workers * of_worker();
  }
};

template <execution E, byte_code X>
constexpr conv2d_plan plan_conv2d(const tensor_view<const X, 4>& x, const packed_weights& w,
                                  const window2d& window, index_type workers) noexcept {
  using A = typename product_codes<X, E>::type;
  const index_type channels = x.extent(1);
  const bool whole_groups = w.inputs % panel::group == 0 || w.taps() == 1 || w.groups > 1;
  const size2d out = output_size({x.extent(2), x.extent(3)}, w.kernel, window);
  conv2d_plan plan;
  plan.copies = !std::is_same_v<X, A> || window.padding.any() ||
                (x.stride(1) != 1 && channels != 1) || w.depthwise() || !whole_groups;
  plan.start = w.jobs() * w.padded_columns();
  if (w.has_zero_points()) plan.accumulators = plan.tile_rows * panel::width;
  if (out.height == 0 || out.width == 0) return plan;

  const auto input_rows = [&](index_type rows) {
    return (rows - 1) * window.stride.height + window_span(w.kernel.height, window.dilation.height);
  };
  index_type most = out.height;
  if (plan.copies) {
    plan.pixel = w.depthwise()   ? w.padded_columns()
                 : w.groups == 1 ? panel::round_up(channels, panel::group)
                                 : channels;
    plan.width =
        (out.width - 1) * window.stride.width + window_span(w.kernel.width, window.dilation.width);
    // Wide kernels want many positions for each panel of weights; the reference little memory.
    constexpr bool wide = !std::is_same_v<E, scalar_t>;
    constexpr index_type positions = 96, bytes = index_type{1} << 17;
    const index_type least = wide ? ceil_div(positions, out.width) : 4;
    most = lesser(out.height, least);
    while (wide && most < out.height && input_rows(most + 1) * plan.width * plan.pixel <= bytes) {
      ++most;
    }
  }
  plan.bands = ceil_div(out.height, most);

  // Four tasks for each thread: parts of the channels first, so that threads share no weights; for
  // depthwise kernels, which would copy all channels for each part, bands first.
  const index_type units = w.jobs() > 1 ? w.jobs() : ceil_div(w.padded_columns(), panel::width);
  const index_type want = workers > 1 ? ceil_div(4 * workers, x.extent(0)) : 1;
  const auto cut_rows = [&] {
    const index_type some = ceil_div(16, out.width);  // a band has at least 16 positions
    const index_type limit = greater(out.height / some, 1);
    plan.bands = greater(plan.bands, lesser(ceil_div(want, plan.parts), limit));
  };
  plan.parts = 1;
  if (w.depthwise()) cut_rows();
  plan.parts = lesser(units, ceil_div(want, plan.bands));
  plan.units = ceil_div(units, plan.parts);
  plan.parts = ceil_div(units, plan.units);
  cut_rows();
  plan.rows = ceil_div(out.height, plan.bands);
  plan.bands = ceil_div(out.height, plan.rows);
  if (plan.copies) {
    constexpr index_type slack = 2 * panel::width;  // the band is aligned; a register may read on
    plan.band = (input_rows(plan.rows) * plan.width * plan.pixel + slack + 3) / 4;
  }
  return plan;
}

// One padded input row, channels last, as the codes A; `y` may lie outside of the image. Codes
// beyond the channels of a pixel are zero: the weights that meet them are zero too.
template <execution E, byte_code X, byte_code A>
constexpr void copy_row(const tensor_view<const X, 4>& x, index_type image, index_type y,
                        index_type left, A zero, const conv2d_plan& plan, A* out) noexcept {
  constexpr kernel<copy_codes<X, A>, E> copy{};
  const index_type channels = x.extent(1);
  const auto pad = [&](index_type pixels) {
    if (plan.pixel == channels) {
      out = fill_codes(zero, pixels * channels, out);
      return;
    }
    for (index_type i = 0; i < pixels; ++i) {
      out = fill_codes(zero, channels, out);
      out = fill_codes(A{0}, plan.pixel - channels, out);
    }
  };
  if (y < 0 || y >= x.extent(2)) return pad(plan.width);
  pad(lesser(left, plan.width));
  const index_type room = plan.width - lesser(left, plan.width);
  const index_type count = lesser(room, x.extent(3));
  const X* from = x.data_handle() + image * x.stride(0) + y * x.stride(2);
  if (x.stride(1) == 1 && channels == plan.pixel && (x.stride(3) == plan.pixel || count == 1)) {
    copy(from, count * channels, out);
    out += count * channels;
  } else if (x.stride(1) == 1) {
    for (index_type i = 0; i < count; ++i) {
      copy(from + i * x.stride(3), channels, out);
      out = fill_codes(A{0}, plan.pixel - channels, out + channels);
    }
  } else {
    for (index_type c = 0; c < plan.pixel; ++c) {
      const X* plane = from + c * x.stride(1);
      for (index_type i = 0; i < count; ++i) {
        A& code = out[i * plan.pixel + c];
        code = A{0};
        if (c < channels) copy_codes<X, A>{}(plane + i * x.stride(3), 1, &code);
      }
    }
    out += count * plan.pixel;
  }
  pad(room - count);
}

// Products whose weights have zero points: a tile of accumulators at a time, from each of which
// the sum of the codes that it saw is taken Zw times.
template <class Product, execution E, bool Depthwise, byte_code A, output_stage Stage>
constexpr void multiply_corrected(const code_rows<A>& a, const code_panels& b,
                                  const packed_weights& w, const Stage& stage,
                                  const output_rows<typename Stage::output_type>& to,
                                  std::int32_t* accumulators) noexcept {
  auto from = a.rows();
  auto out = to.rows(a.count, a.run);
  const index_type run = a.run == 0 ? a.count : a.run;
  for (index_type m = 0; m < a.count;) {
    code_rows<A> some = a;
    some.first = from.at;
    some.run = 0;
    some.count = lesser(lesser(conv2d_plan::tile_rows, run - m % run), a.count - m);
    auto* y = out.at;
    for (index_type n = 0; n < to.channels; n += panel::width) {
      code_panels columns = b;
      columns.codes += n * b.depth;
      columns.start += n;
      columns.padded_columns -= n;
      code_rows<A> seen = some;
      if (Depthwise) seen.first += n;
      const index_type count = lesser(panel::width, to.channels - n);
      kernel<Product, E>{}(seen, columns, to_accumulators{},
                           {.first = accumulators, .step = panel::width, .channels = count});
      for (index_type row = 0; row < some.count; ++row) {
        const A* codes = seen.first + row * a.step;
        std::int32_t sum = 0;
        if (!Depthwise) {
          a.for_each_segment(codes, [&](const A* segment) {
            for (index_type k = 0; k < a.depth; ++k) sum += segment[k];
          });
        }
        for (index_type c = 0; c < count; ++c) {
          if (Depthwise) {
            sum = 0;
            a.for_each_segment(codes, [&](const A* tap) { sum += tap[c]; });
          }
          std::int32_t& acc = accumulators[row * panel::width + c];
          acc = wrapping_add(acc, wrapping_mul(-w.zero_point(to.first_channel + n + c), sum));
        }
      }
      kernel<requantize_tile<Stage>, E>{}(
          stage, {accumulators, panel::width, some.count, to.first_channel + n, count,
                  y + n * to.channel_step, to.step, to.channel_step});
    }
    for (index_type row = 0; row < some.count; ++row) from.next(), out.next();
    m += some.count;
  }
}

// A 1x1 convolution with stride 1 does not care about rows and images: where all positions lie at
// one distance, they are one long column.
template <class T>
constexpr bool is_one_column(const tensor_view<T, 4>& x) noexcept {
  const bool rows =
      x.extent(2) == 1 || x.extent(3) == 1 || x.stride(2) == x.extent(3) * x.stride(3);
  const index_type step = x.extent(3) == 1 ? x.stride(2) : x.stride(3);
  return rows && (x.extent(0) == 1 || x.stride(0) == x.extent(2) * x.extent(3) * step);
}
template <class T>
constexpr tensor_view<T, 4> as_one_column(const tensor_view<T, 4>& x) noexcept {
  const index_type step = x.extent(3) == 1 ? x.stride(2) : x.stride(3);
  return {x.data_handle(),
          {1, x.extent(1), x.extent(0) * x.extent(2) * x.extent(3), 1},
          {0, x.stride(1), step, 0}};
}

// One convolution whose sizes were checked.
template <execution E, byte_code X, output_stage Stage>
struct conv2d_job {
  using A = typename product_codes<X, E>::type;
  using output_type = typename Stage::output_type;

  tensor_view<const X, 4> x;
  A zero;
  const packed_weights& w;
  window2d window;
  const Stage& stage;
  tensor_view<output_type, 4> y;
  conv2d_plan plan;
  const std::int32_t* start;

  constexpr index_type tasks() const noexcept { return y.extent(0) * plan.bands * plan.parts; }

  template <template <byte_code, output_stage> class Operation>
  void run(index_type task, std::int32_t* memory) const noexcept {
    const index_type part = task % plan.parts, image = task / plan.parts / plan.bands;
    const index_type oy = task / plan.parts % plan.bands * plan.rows;
    const index_type rows = lesser(plan.rows, y.extent(2) - oy);
    const index_type top = oy * window.stride.height - window.padding.top;
    if (rows <= 0) return;

    const index_type pixel = plan.copies ? plan.pixel : x.stride(3);
    const index_type row = plan.copies ? plan.width * pixel : x.stride(2);
    code_rows<A> a;
    if (plan.copies) {
      a.first = copy_band(image, top, rows, row, memory + plan.accumulators);
    } else if constexpr (std::is_same_v<X, A>) {
      a.first = x.data_handle() + image * x.stride(0) + top * x.stride(2);
    }
    a.step = window.stride.width * pixel;
    a.count = rows * y.extent(3);
    a.run = y.extent(3);
    a.run_step = window.stride.height * row;
    if (a.run == 1) {
      a.step = a.run_step;
      a.run = 0;
    }
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

    output_rows<output_type> to;
    to.first = y.data_handle() + image * y.stride(0) + oy * y.stride(2);
    to.step = y.extent(3) == 1 ? y.stride(2) : y.stride(3);
    to.run_step = y.stride(2);
    to.channel_step = y.stride(1);
    const index_type begin = part * plan.units;
    if (w.jobs() == 1) {
      return multiply<Operation>(a, to, 0, begin * panel::width, plan.units * panel::width, memory);
    }
    for (index_type job = begin; job < lesser(begin + plan.units, w.jobs()); ++job) {
      multiply<Operation>(a, to, job, 0, w.columns(), memory);
    }
  }

 private:
  // Columns [n, n + count) of a job.
  template <template <byte_code, output_stage> class Operation>
  void multiply(code_rows<A> a, output_rows<output_type> to, index_type job, index_type n,
                index_type count, std::int32_t* accumulators) const noexcept {
    constexpr bool depthwise = std::is_same_v<Operation<A, Stage>, multiply_taps<A, Stage>>;
    a.first += depthwise ? n : job * w.inputs;
    to.first_channel = job * w.columns() + n;
    to.channels = lesser(count, w.columns() - n);
    to.first += to.first_channel * to.channel_step;
    const code_panels b{.codes = w.codes + job * w.job_step() + n * w.padded_depth(),
                        .depth = w.padded_depth(),
                        .padded_columns = w.padded_columns() - n,
                        .start = start + job * w.padded_columns() + n};
    if (plan.accumulators == 0) {
      kernel<Operation<A, Stage>, E>{}(a, b, stage, to);
    } else {
      multiply_corrected<Operation<A, to_accumulators>, E, depthwise>(a, b, w, stage, to,
                                                                      accumulators);
    }
  }

  const A* copy_band(index_type image, index_type top, index_type rows, index_type row,
                     std::int32_t* memory) const noexcept {
    const auto place = reinterpret_cast<std::uintptr_t>(memory);
    A* band = reinterpret_cast<A*>(memory) + (0 - place) % panel::width;
    const index_type last =
        (rows - 1) * window.stride.height + window_span(w.kernel.height, window.dilation.height);
    for (index_type i = 0; i < last; ++i) {
      copy_row<E>(x, image, top + i, window.padding.left, zero, plan, band + i * row);
    }
    return band;
  }
};

template <class X>
constexpr bool is_flat(const tensor_view<const X, 4>& x, const packed_weights& w,
                       const window2d& window) noexcept {
  return w.taps() == 1 && window.stride == size2d{} && !window.padding.any() && is_one_column(x);
}

}  // namespace detail

// How many int32 conv2d() needs as its workspace for inputs of this shape and memory order (the
// data pointer is not looked at). The execution and the number of workers are those of the call.
template <execution E, byte_code X>
constexpr index_type conv2d_workspace(E, const tensor_view<const X, 4>& x, const packed_weights& w,
                                      const window2d& window = {},
                                      index_type workers = 1) noexcept {
  const index_type need = detail::plan_conv2d<E>(x, w, window, workers).total(workers);
  if (!detail::is_flat(x, w, window)) return need;
  const auto flat = detail::as_one_column(x);
  return detail::greater(need, detail::plan_conv2d<E>(flat, w, window, workers).total(workers));
}
template <byte_code X>
constexpr index_type conv2d_workspace(const tensor_view<const X, 4>& x, const packed_weights& w,
                                      const window2d& window = {}) noexcept {
  return conv2d_workspace(scalar, x, w, window);
}

// `bias`: one int32 per output in units of x.scale * w.scale, or none.
// size_mismatch where x, w, window and y do not fit together; bad_argument where a zero point is no
// code of X, a stride is not positive or a padding is negative; too_few_params,
// too_little_workspace.
template <execution E, byte_code X, output_stage Stage, parallel_for Parallel = serial_t>
status conv2d(E, const tensor_view<const X, 4>& x, std::int32_t x_zero_point,
              const packed_weights& w, std::span<const std::int32_t> bias, const window2d& window,
              const Stage& stage,
              const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y,
              std::span<std::int32_t> workspace, const Parallel& parallel = {}) noexcept {
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
  const index_type workers = parallel.workers();
  if (static_cast<index_type>(workspace.size()) < conv2d_workspace(E{}, x, w, window, workers)) {
    return status::too_little_workspace;
  }
  if (y.empty()) return status::ok;

  using job_type = detail::conv2d_job<E, X, Stage>;
  using A = typename job_type::A;
  A zero{};
  const X x_zero = static_cast<X>(x_zero_point);
  copy_codes<X, A>{}(&x_zero, 1, &zero);
  const bool flat = detail::is_flat(x, w, window) && detail::is_one_column(y);
  const auto in = flat ? detail::as_one_column(x) : x;
  std::int32_t* start = workspace.data();
  const job_type job{in,
                     zero,
                     w,
                     window,
                     stage,
                     flat ? detail::as_one_column(y) : y,
                     detail::plan_conv2d<E>(in, w, window, workers),
                     start};
  for (index_type i = 0; i < job.plan.start; ++i) start[i] = 0;  // columns that pad a panel, too
  for (index_type o = 0; o < w.outputs; ++o) {
    start[o / w.columns() * w.padded_columns() + w.place_of(o % w.columns())] =
        start_of(w, o, bias.empty() ? 0 : bias[static_cast<std::size_t>(o)], zero);
  }
  std::int32_t* memory = start + job.plan.start;
  parallel(job.tasks(), [&](index_type task, index_type worker) {
    std::int32_t* own = memory + worker * job.plan.of_worker();
    if (w.depthwise()) {
      job.template run<multiply_taps>(task, own);
    } else {
      job.template run<multiply_panel>(task, own);
    }
  });
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
