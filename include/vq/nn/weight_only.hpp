// Linear layer with weights of 4 or 8 bits and activations that are floats: y = x * W^T + bias.
//
//   auto w = vq::pack_weight_only(q, {outputs, inputs}, codes, params, storage);   // when loading
//   std::vector<std::byte> workspace(vq::weight_only_workspace(x, *w, pool.workers()));
//   vq::status s = vq::linear(vq::simd::native, x, *w, bias, y, workspace, pool);
//   vq::status s = vq::linear(vq::simd::native, vq::dynamic_int8, x, *w, bias, y, workspace, pool);
//
// x has the extents (rows, inputs), y (rows, outputs); bias is empty or has one float per output.
// What is multiplied follows from x:
//
//   float, half          x * levels, in float
//   bfloat16             x * levels rounded to bfloat16 (levels of NF4 move by 2^-9 at most; those
//                        of INT4, INT8 and OCP FP4 do not), summed in float
//   with dynamic_int8    rows of x are quantized to int8 first: scale absmax / 127, halves to even;
//                        and levels to integers (find_integer_levels). The sums of 256 products,
//                        or of a block if it is shorter, are exact
//
// Scales are floats everywhere. For an instruction set a result does not depend on threads, and on
// the number of rows in no more than the order of its float sums:
// |error| <= (inputs + 4) * 2^-23 * sum of |x * w|, for the values above.
//
// Few rows stream the packed bytes once. For more rows a panel of 64 outputs is decoded, a segment
// of k at a time, and used for up to 72 of them.
#ifndef VQ_NN_WEIGHT_ONLY_HPP
#define VQ_NN_WEIGHT_ONLY_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/dynamic_int8.hpp>
#include <vq/nn/weight_only_pack.hpp>
#include <vq/nn/weight_only_panels.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fit.hpp>

namespace vq::inline v1 {

template <class T>
concept float_element =
    std::same_as<T, float> || std::same_as<T, half> || std::same_as<T, bfloat16>;

// int8 codes of `count` <= 256 activations, in the order of place_in_four, and the sum of each
// `group` of them. Both are multiples of 8; the last group may be shorter.
struct quantize_activations {
  constexpr void operator()(const float* x, index_type count, affine_param p, index_type group,
                            std::int8_t* codes, std::int32_t* sums) const noexcept {
    for (index_type k = 0; k < count; k += weight_only::step) {
      std::int32_t& sum = sums[k / group];
      if (k % group == 0) sum = 0;
      for (index_type i = 0; i < weight_only::step; ++i) {
        const auto code = static_cast<std::int8_t>(uniform<8>{}.encode(x[k + i], p));
        codes[k + i / 2 % 2 * 4 + weight_only::place_in_four(i)] = code;
        sum += code;
      }
    }
  }
};

namespace detail {

// Rows for which a panel is decoded once: the sums of more would leave the first cache. Whole tiles
// of 6, and about the same number in every turn.
constexpr index_type rows_at_once(index_type rows) noexcept {
  constexpr index_type most = 72, tile = 6;
  const index_type turns = (rows + most - 1) / most;
  return turns <= 1 ? rows : ((rows + turns - 1) / turns + tile - 1) / tile * tile;
}
inline constexpr index_type alignment = 64;

constexpr index_type aligned(index_type bytes) noexcept {
  return (bytes + alignment - 1) / alignment * alignment;
}

// What a call keeps in its workspace. A: as which the activations are multiplied.
template <class A>
struct weight_only_plan {
  index_type rows = 0;       // at once
  index_type row_bytes = 0;  // of copied activations; 0 where they are used in place
  index_type sums = 0;       // of a row: its segments
  index_type workers = 1;

  constexpr index_type worker_bytes() const noexcept {
    return aligned(rows * weight_only::columns * 4) + aligned(multiply_weights<A>::scratch_bytes);
  }
  constexpr index_type row_data_bytes() const noexcept { return aligned(rows * row_bytes); }
  constexpr index_type scale_bytes() const noexcept { return aligned(rows * 4); }
  constexpr index_type sum_bytes() const noexcept { return aligned(rows * sums * 4); }
  constexpr index_type size() const noexcept {
    return alignment + row_data_bytes() + scale_bytes() + sum_bytes() + workers * worker_bytes();
  }
};

template <class A, class X>
constexpr bool in_place(const tensor_view<const X, 2>& x, const weight_only& w) noexcept {
  return std::same_as<A, X> && x.stride(1) == 1 && w.inputs == w.depth();
}

template <class A, class X>
constexpr weight_only_plan<A> plan_of(const tensor_view<const X, 2>& x, const weight_only& w,
                                      index_type workers) noexcept {
  weight_only_plan<A> p;
  p.rows = rows_at_once(x.extent(0));
  // Rows that begin at the same place of every page would share a few lines of the first cache.
  if (!in_place<A>(x, w)) {
    p.row_bytes = aligned(w.depth() * static_cast<index_type>(sizeof(A))) + alignment;
  }
  if constexpr (std::same_as<A, std::int8_t>) p.sums = w.segments();
  p.workers = workers;
  return p;
}

// As which activations are multiplied that are neither float nor bfloat16.
template <class X>
using multiplied_as = std::conditional_t<std::same_as<X, bfloat16>, bfloat16, float>;

template <execution E, class A, class X>
struct activation_packing {
  const weight_only& w;
  const tensor_view<const X, 2>& x;
  index_type first;  // row
  A* rows;
  index_type step;
  float* scales;
  std::int32_t* sums;
  index_type sums_step;

  // Reads `count` inputs from k on, followed by zeros up to whole steps.
  void read(index_type m, index_type k, index_type count, float* to) const noexcept {
    const X* from = x.data_handle() + (first + m) * x.stride(0) + k * x.stride(1);
    for (index_type i = 0; i < count; ++i) to[i] = as_float(from[i * x.stride(1)]);
    for (index_type i = count; i % weight_only::step != 0; ++i) to[i] = 0;
  }

  // The same, where they lie if possible.
  const float* values(index_type m, index_type k, index_type count, float* buffer) const noexcept {
    if constexpr (std::same_as<X, float>) {
      if (x.stride(1) == 1 && count % weight_only::step == 0) {
        return x.data_handle() + (first + m) * x.stride(0) + k;
      }
    }
    read(m, k, count, buffer);
    return buffer;
  }

  // Calls f(k, count, segment) for the segments of a row, neighbours together where they are short.
  template <class F>
  void for_each_segment(F f) const noexcept {
    constexpr index_type longest = weight_only::longest;
    const index_type span = w.block < longest ? longest / w.block * w.block : w.block;
    index_type segment = 0;
    for (index_type begin = 0; begin < w.inputs; begin += span) {
      const index_type end = begin + span < w.inputs ? begin + span : w.inputs;
      for (index_type k = begin; k < end; k += longest) {
        const index_type count = end - k < longest ? end - k : longest;
        f(k, count, segment);
        segment += (count + w.block - 1) / w.block;
      }
    }
  }

  status row(index_type m) const noexcept {
    A* const to = rows + m * step;
    if constexpr (std::same_as<A, std::int8_t>) {
      float buffer[weight_only::longest];
      observed all;
      for_each_segment([&](index_type k, index_type count, index_type) {
        all = hull(all, kernel<find_absmax, E>{}(values(m, k, count, buffer), count));
      });
      if (!all.finite) return status::not_finite;
      const affine_param p = uniform<8>{}.fit(all.seen);
      scales[m] = p.scale * w.integer_unit;
      for_each_segment([&](index_type k, index_type count, index_type segment) {
        const index_type whole =
            (count + weight_only::step - 1) / weight_only::step * weight_only::step;
        kernel<quantize_activations, E>{}(values(m, k, count, buffer), whole, p, w.block, to + k,
                                          sums + m * sums_step + segment);
      });
    } else {
      const X* from = x.data_handle() + (first + m) * x.stride(0);
      for (index_type k = 0; k < w.inputs; ++k) {
        if constexpr (std::same_as<A, X>) {
          to[k] = from[k * x.stride(1)];
        } else {
          to[k] = as_float(from[k * x.stride(1)]);
        }
      }
      for (index_type k = w.inputs; k < w.depth(); ++k) to[k] = A{};
      scales[m] = 1;
    }
    return status::ok;
  }
};

// to[n] = from[n] * scale + bias[n]
template <class Y>
constexpr void finish_row(const float* from, index_type count, float scale, const float* bias,
                          Y* to, index_type step) noexcept {
  if (step != 1) {
    for (index_type n = 0; n < count; ++n) {
      to[n * step] = static_cast<Y>(from[n] * scale + (bias == nullptr ? 0.f : bias[n]));
    }
  } else if (bias == nullptr) {
    for (index_type n = 0; n < count; ++n) to[n] = static_cast<Y>(from[n] * scale);
  } else {
    for (index_type n = 0; n < count; ++n) to[n] = static_cast<Y>(from[n] * scale + bias[n]);
  }
}

template <class A, execution E, class X, class Y, parallel_for P>
status multiply_weight_only(E, const tensor_view<const X, 2>& x, const weight_only& w,
                            std::span<const float> bias, const tensor_view<Y, 2>& y,
                            std::span<std::byte> workspace, const P& parallel) noexcept {
  const index_type rows = x.extent(0);
  if (x.extent(1) != w.inputs || y.extent(0) != rows || y.extent(1) != w.outputs) {
    return status::size_mismatch;
  }
  if (!bias.empty() && static_cast<index_type>(bias.size()) < w.outputs) {
    return status::too_few_params;
  }
  const auto plan = plan_of<A>(x, w, parallel.workers());
  if (static_cast<index_type>(workspace.size()) < plan.size()) {
    return status::too_little_workspace;
  }
  std::byte* at = workspace.data();
  at += (alignment - static_cast<index_type>(reinterpret_cast<std::uintptr_t>(at) % alignment)) %
        alignment;
  A* const row_data = reinterpret_cast<A*>(at);
  float* const scales = reinterpret_cast<float*>(at += plan.row_data_bytes());
  auto* const sums = reinterpret_cast<std::int32_t*>(at += plan.scale_bytes());
  std::byte* const worker_data = at += plan.sum_bytes();

  for (index_type first = 0; first < rows; first += plan.rows) {
    const index_type count = rows - first < plan.rows ? rows - first : plan.rows;
    activation_rows<A> a{.first = row_data, .count = count, .sums = sums};
    a.step = plan.row_bytes / static_cast<index_type>(sizeof(A));
    bool used_in_place = false;
    if constexpr (std::same_as<A, X>) {
      used_in_place = plan.row_bytes == 0;
      if (used_in_place) {
        a.first = x.data_handle() + first * x.stride(0);
        a.step = x.stride(0);
      }
    }
    if (!used_in_place) {
      const activation_packing<E, A, X> packing{w,      x,      first, row_data,
                                                a.step, scales, sums,  plan.sums};
      // A row that cannot be quantized leaves a NaN as its scale.
      parallel(count, [&](index_type m, index_type) {
        if (packing.row(m) != status::ok) scales[m] = std::numeric_limits<float>::quiet_NaN();
      });
      for (index_type m = 0; m < count; ++m) {
        if (!(scales[m] == scales[m])) return status::not_finite;
      }
    }
    // A few tasks for each worker, of neighbouring panels.
    const index_type most = parallel.workers() == 1 ? 1 : 8 * parallel.workers();
    const index_type tasks = w.panels() < most ? w.panels() : most;
    parallel(tasks, [&](index_type task, index_type worker) {
      std::byte* const own = worker_data + worker * plan.worker_bytes();
      float* const sum = reinterpret_cast<float*>(own);
      std::byte* const scratch = own + aligned(plan.rows * weight_only::columns * 4);
      const index_type end = w.panels() * (task + 1) / tasks;
      for (index_type panel = w.panels() * task / tasks; panel < end; ++panel) {
        kernel<multiply_weights<A>, E>{}(w, panel, a, sum, scratch);
        const index_type begin = panel * weight_only::columns;
        const index_type left = w.outputs - begin;
        const index_type width = left < weight_only::columns ? left : weight_only::columns;
        for (index_type m = 0; m < count; ++m) {
          const float* const from = sum + m * weight_only::columns;
          Y* const to = y.data_handle() + (first + m) * y.stride(0) + begin * y.stride(1);
          finish_row(from, width, used_in_place ? 1.f : scales[m],
                     bias.empty() ? nullptr : bias.data() + begin, to, y.stride(1));
        }
      }
    });
  }
  return status::ok;
}

}  // namespace detail

// How many bytes linear() needs as its workspace.
template <float_element X>
constexpr index_type weight_only_workspace(const tensor_view<const X, 2>& x, const weight_only& w,
                                           index_type workers = 1) noexcept {
  return detail::plan_of<detail::multiplied_as<X>>(x, w, workers).size();
}
template <float_element X>
constexpr index_type weight_only_workspace(dynamic_int8_t, const tensor_view<const X, 2>& x,
                                           const weight_only& w, index_type workers = 1) noexcept {
  return detail::plan_of<std::int8_t>(x, w, workers).size();
}

// size_mismatch, too_few_params (bias) or too_little_workspace. NaN and infinity are numbers like
// any other here.
template <execution E, float_element X, float_element Y, parallel_for P = serial_t>
status linear(E e, const tensor_view<const X, 2>& x, const weight_only& w,
              std::span<const float> bias, const tensor_view<Y, 2>& y,
              std::span<std::byte> workspace, const P& parallel = {}) noexcept {
  return detail::multiply_weight_only<detail::multiplied_as<X>>(e, x, w, bias, y, workspace,
                                                                parallel);
}

// Also not_finite: a row with NaN or infinity has no scale.
template <execution E, float_element X, float_element Y, parallel_for P = serial_t>
status linear(E e, dynamic_int8_t, const tensor_view<const X, 2>& x, const weight_only& w,
              std::span<const float> bias, const tensor_view<Y, 2>& y,
              std::span<std::byte> workspace, const P& parallel = {}) noexcept {
  return detail::multiply_weight_only<std::int8_t>(e, x, w, bias, y, workspace, parallel);
}

}  // namespace vq::inline v1

#endif
