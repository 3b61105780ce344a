// Arrays of half and bfloat16 to floats and back, as operations.
//
//   status s = vq::to_floats(vq::simd::native, halves, floats);     // exact
//   status s = vq::from_floats(vq::simd::native, floats, halves);   // to nearest, halves to even
//
// half.hpp says what becomes of NaN and of values that a type cannot hold.
#ifndef VQ_CORE_CONVERT_HPP
#define VQ_CORE_CONVERT_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/half.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

template <class T>
concept narrow_float = std::same_as<T, half> || std::same_as<T, bfloat16>;

template <narrow_float T>
struct widen_floats {
  constexpr void operator()(const T* in, index_type count, float* out) const noexcept {
    for (index_type i = 0; i < count; ++i) out[i] = in[i].to_float();
  }
};

template <narrow_float T>
struct narrow_floats {
  constexpr void operator()(const float* in, index_type count, T* out) const noexcept {
    for (index_type i = 0; i < count; ++i) out[i] = T(in[i]);
  }
};

// size_mismatch where the spans differ in length.
template <execution E, class T>
  requires narrow_float<std::remove_const_t<T>>
constexpr status to_floats(E, std::span<T> in, std::span<float> out) noexcept {
  if (in.size() != out.size()) return status::size_mismatch;
  kernel<widen_floats<std::remove_const_t<T>>, E>{}(in.data(), static_cast<index_type>(in.size()),
                                                    out.data());
  return status::ok;
}
template <execution E, narrow_float T>
constexpr status from_floats(E, std::span<const float> in, std::span<T> out) noexcept {
  if (in.size() != out.size()) return status::size_mismatch;
  kernel<narrow_floats<T>, E>{}(in.data(), static_cast<index_type>(in.size()), out.data());
  return status::ok;
}

// A view of narrow floats in memory.
template <class V>
concept narrow_view =
    readable_view<V> && narrow_float<typename V::value_type> &&
    std::same_as<typename V::accessor_type, pointer_accessor<typename V::element_type>>;

// As in tensor_view.hpp, with narrow floats in memory converted by E.
template <execution E, readable_view V, class F>
constexpr void for_each_chunk(E, const V& view, index_type begin, index_type size, F f) noexcept {
  if constexpr (narrow_view<V> && !std::same_as<E, scalar_t>) {
    if (view.is_exhaustive()) {
      constexpr index_type chunk = 1024;
      float buffer[chunk];
      for (index_type done = 0; done < size; done += chunk) {
        const index_type count = size - done < chunk ? size - done : chunk;
        kernel<widen_floats<typename V::value_type>, E>{}(view.data_handle() + begin + done, count,
                                                          buffer);
        f(begin + done, static_cast<const float*>(buffer), count);
      }
      return;
    }
  }
  for_each_chunk(view, begin, size, f);
}

}  // namespace vq::inline v1

#endif
