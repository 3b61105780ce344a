// Where a convolution reads its rows: in place, or from padded rows that it copies into its workspace.
// Wide depthwise kernels read padded images in place too, and one row of zeros instead of the padding.
//
//   plan_conv2d    which of the two; how the output is cut into bands of rows and parts of the
//                  channels; how large the workspace is, from the same object that drives the loops
//   copy_row       one padded row, channels last, as codes of the type that the kernels multiply
//
// A band is copied once for all its kernel rows: (rows - 1) * stride + span of them, of which a
// patch matrix would hold kernel height * kernel width copies.
#ifndef VQ_NN_CONV2D_PLAN_HPP
#define VQ_NN_CONV2D_PLAN_HPP

#include <cstdint>
#include <type_traits>

#include <vq/core/execution.hpp>
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
  bool framed = false;   // they do not, and there is a row of zeros for what is padded
  index_type pixel = 0;  // codes per pixel of such a row
  index_type width = 0;  // pixels of such a row
  index_type rows = 0;   // output rows of a band
  index_type bands = 0;  // of an image
  index_type units = 0;  // of a part: panels of channels, or groups
  index_type parts = 0;  // of a band
  index_type start = 0;
  index_type accumulators = 0;
  index_type band = 0;  // of rows; of zeros where framed

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
  const bool few_taps = w.kernel.width * ceil_div(w.kernel.height, 4) <= taps::most_columns;
  plan.framed = reads_frames<E, A> && w.depthwise() && few_taps && std::is_same_v<X, A> &&
                out.width > 1 && x.stride(1) == 1 && x.stride(3) == channels &&
                channels == w.padded_columns() && window.dilation == size2d{} &&
                !w.has_zero_points() && !x.empty();
  plan.copies =
      !plan.framed && (!std::is_same_v<X, A> || window.padding.any() ||
                       (x.stride(1) != 1 && channels != 1) || w.depthwise() || !whole_groups);
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

  // Four tasks for each thread: parts of the channels first, so that threads share no weights. Bands
  // first for depthwise kernels, which would copy all channels for each part, and for few weights:
  // threads that write the same rows of results wait for each other's cache lines.
  constexpr index_type few_weights = index_type{1} << 17;
  const index_type units = w.jobs() > 1 ? w.jobs() : ceil_div(w.padded_columns(), panel::width);
  const index_type want = workers > 1 ? ceil_div(4 * workers, x.extent(0)) : 1;
  const auto cut_rows = [&] {
    const index_type some = ceil_div(16, out.width);  // a band has at least 16 positions
    const index_type limit = greater(out.height / some, 1);
    plan.bands = greater(plan.bands, lesser(ceil_div(want, plan.parts), limit));
  };
  plan.parts = 1;
  if (w.depthwise() || w.padded_depth() * w.padded_columns() <= few_weights) cut_rows();
  plan.parts = lesser(units, ceil_div(want, plan.bands));
  plan.units = ceil_div(units, plan.parts);
  plan.parts = ceil_div(units, plan.units);
  cut_rows();
  plan.rows = ceil_div(out.height, plan.bands);
  plan.bands = ceil_div(out.height, plan.rows);
  constexpr index_type slack = 2 * panel::width;  // the band is aligned; a register may read on
  if (plan.copies) {
    plan.band = (input_rows(plan.rows) * plan.width * plan.pixel + slack + 3) / 4;
  } else if (plan.framed) {
    plan.band = (x.extent(3) * channels + slack + 3) / 4;
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
}  // namespace detail

}  // namespace vq::inline v1

#endif
