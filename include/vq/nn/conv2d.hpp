// Quantized 2-D convolution (cross-correlation), exact in integers up to the output stage:
//
//   acc[n][o][y][x] = bias[o] + sum over (c, i, j) of
//                     (in[n][g * C + c][y * s - p + i * d][x * s - p + j * d] - Zx) * (w - Zw[o])
//   out[n][o][y][x] = stage(acc, o)                  with the padding read as Zx, the code of zero
//
// Extents are (N, C, H, W); the strides of the views say how they lie in memory. Channels last
// (NHWC) is the fast order: the kernels read the rows of a window where they are, without a patch
// matrix. Padded images (but not for wide depthwise kernels), all others than channels-last ones,
// and codes of the type that an execution does not multiply (product_codes) are copied into the
// workspace first, a band of rows at a time. Where padding is the code 0, as after a ReLU, rows of
// the kernel that meet nothing else are left out. int8 and uint8 activations, grouped and depthwise
// kernels.
//
// The work is cut into images, bands of rows and panels of channels for the caller's threads.
#ifndef VQ_NN_CONV2D_HPP
#define VQ_NN_CONV2D_HPP

#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/nn/conv2d_job.hpp>
#include <vq/nn/conv2d_plan.hpp>
#include <vq/nn/weights.hpp>

namespace vq::inline v1 {

namespace detail {

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
  const index_type columns = w.columns(), padded = w.padded_columns();
  const bool depthwise = w.depthwise();
  for (index_type first = 0, of_job = 0; first < w.outputs; first += columns, of_job += padded) {
    for (index_type n = 0; n < columns; n += panel::width) {
      const index_type width = panel::width_at(n, padded);
      const index_type count = width < columns - n ? width : columns - n;
      for (index_type c = 0; c < count; ++c) {
        const index_type o = first + n + c;
        start[of_job + n + (depthwise ? taps::place(c, width) : c)] =
            start_of(w, o, bias.empty() ? 0 : bias[static_cast<std::size_t>(o)], zero);
      }
    }
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
