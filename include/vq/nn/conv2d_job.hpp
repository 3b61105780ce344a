// One convolution whose sizes were checked: what a task of it reads, multiplies and writes.
//
// A task is a band of rows of one image times a part of the channels. Its input rows are read where
// they lie, or copied first (conv2d_plan.hpp); then multiply_panel, or multiply_taps for depthwise
// kernels, sees them as rows of segments: without the kernel rows that lie on padding, where that is
// the code 0. Where weights have zero points the sums go through the workspace, a tile at a time, for
// one more pass over the activations.
#ifndef VQ_NN_CONV2D_JOB_HPP
#define VQ_NN_CONV2D_JOB_HPP

#include <cstdint>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/conv2d_plan.hpp>

namespace vq::inline v1 {

namespace detail {

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
      a.first = x.data_handle() + image * x.stride(0);
      if (!plan.framed) {
        a.first += top * x.stride(2);
      } else if constexpr (reads_frames<E, A>) {
        A* const zeros = aligned(memory + plan.accumulators);
        fill_codes(zero, x.extent(3) * pixel, zeros);
        a.frame = {zeros,
                   top,
                   -window.padding.left,
                   x.extent(2),
                   x.extent(3),
                   window.stride.height,
                   window.stride.width};
      }
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
      return multiply<Operation>(a, to, oy, 0, begin * panel::width, plan.units * panel::width,
                                 memory);
    }
    for (index_type job = begin; job < lesser(begin + plan.units, w.jobs()); ++job) {
      multiply<Operation>(a, to, oy, job, 0, w.columns(), memory);
    }
  }

 private:
  // Columns [n, n + count) of a job; row 0 of `to` is row oy of the image.
  template <template <byte_code, output_stage> class Operation>
  void multiply(code_rows<A> a, output_rows<output_type> to, index_type oy, index_type job,
                index_type n, index_type count, std::int32_t* accumulators) const noexcept {
    constexpr bool depthwise = std::is_same_v<Operation<A, Stage>, multiply_taps<A, Stage>>;
    a.first += depthwise ? n : job * w.inputs;
    to.first_channel = job * w.columns() + n;
    to.channels = lesser(count, w.columns() - n);
    to.first += to.first_channel * to.channel_step;
    const code_panels b{.codes = w.codes + job * w.job_step() + n * w.padded_depth(),
                        .depth = w.padded_depth(),
                        .padded_columns = w.padded_columns() - n,
                        .start = start + job * w.padded_columns() + n};
    if (plan.accumulators != 0) {
      return multiply_corrected<Operation<A, to_accumulators>, E, depthwise>(a, b, w, stage, to,
                                                                             accumulators);
    }
    if constexpr (!depthwise) {
      if (zero == 0 && window.padding.top + window.padding.bottom > 0) {
        return multiply_inside<Operation<A, Stage>>(a, b, to, oy);
      }
    }
    kernel<Operation<A, Stage>, E>{}(a, b, stage, to);
  }

  // Rows [first, first + count) of the kernel meet the image.
  struct kernel_rows {
    index_type first, count;
    friend constexpr bool operator==(kernel_rows, kernel_rows) noexcept = default;
  };
  constexpr kernel_rows inside(index_type oy) const noexcept {
    const index_type top = oy * window.stride.height - window.padding.top;
    const index_type step = window.dilation.height, height = w.kernel.height;
    const index_type first = lesser(ceil_div(greater(-top, 0), step), height);
    const index_type end = lesser(ceil_div(greater(x.extent(2) - top, 0), step), height);
    return {first, greater(end - first, 0)};
  }

  // Panel after panel, without the rows of the kernel that meet nothing but zeros.
  template <class Product>
  void multiply_inside(const code_rows<A>& a, const code_panels& b,
                       const output_rows<output_type>& to, index_type oy) const noexcept {
    const index_type width = y.extent(3), steps = b.depth / w.kernel.height;
    for (index_type n = 0; n < to.channels; n += panel::width) {
      const index_type columns = panel::width_at(n, b.padded_columns);
      output_rows<output_type> panel_to = to;
      panel_to.first += n * to.channel_step;
      panel_to.first_channel += n;
      panel_to.channels = lesser(panel::width, to.channels - n);
      for (index_type row = 0, rows = 0; row * width < a.count; row += rows) {
        const kernel_rows taken = inside(oy + row);
        for (rows = 1; (row + rows) * width < a.count && inside(oy + row + rows) == taken;) ++rows;
        code_rows<A> some = a.part(row * width, rows * width);
        some.first += taken.first * a.outer_step;
        some.outer = taken.count;
        const code_panels some_steps{.codes = b.codes + n * b.depth + taken.first * steps * columns,
                                     .depth = taken.count * steps,
                                     .padded_columns = columns,
                                     .start = b.start + n};
        kernel<Product, E>{}(some, some_steps, stage, panel_to.part(row * width, a.run));
      }
    }
  }

  static A* aligned(std::int32_t* memory) noexcept {
    const auto place = reinterpret_cast<std::uintptr_t>(memory);
    return reinterpret_cast<A*>(memory) + (0 - place) % panel::width;
  }
  const A* copy_band(index_type image, index_type top, index_type rows, index_type row,
                     std::int32_t* memory) const noexcept {
    A* const band = aligned(memory);
    const index_type last =
        (rows - 1) * window.stride.height + window_span(w.kernel.height, window.dilation.height);
    for (index_type i = 0; i < last; ++i) {
      copy_row<E>(x, image, top + i, window.padding.left, zero, plan, band + i * row);
    }
    return band;
  }
};
}  // namespace detail

}  // namespace vq::inline v1

#endif
