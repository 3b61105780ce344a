// A window onto a tensor that somebody else owns: shape, strides, and an accessor that may decode.
//
//   vq::tensor_view<const float, 4> conv{weights, {64, 32, 3, 3}};            // row-major
//   vq::tensor_view<const float, 4> nhwc{x, {1, 3, 32, 32}, {3072, 1, 96, 3}};  // channels last
//
// The vocabulary is std::mdspan's (C++23). Indices are logical, strides say where the values lie;
// "flat" positions count in row-major order of the logical indices, whatever the strides.
// Bulk readers take a view by chunks with read(): one call decodes many values, which is several
// times faster than element access through a decoding accessor.
#ifndef VQ_CORE_TENSOR_VIEW_HPP
#define VQ_CORE_TENSOR_VIEW_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

template <int Rank>
using shape_type = std::array<index_type, static_cast<std::size_t>(Rank)>;

// Product of the extents [from, to); 1 for none.
template <std::size_t Rank>
constexpr index_type volume(const std::array<index_type, Rank>& shape, int from = 0,
                            int to = static_cast<int>(Rank)) noexcept {
  index_type product = 1;
  for (int i = from; i < to; ++i) product *= shape[static_cast<std::size_t>(i)];
  return product;
}

template <std::size_t Rank>
constexpr std::array<index_type, Rank> row_major_strides(
    const std::array<index_type, Rank>& shape) noexcept {
  std::array<index_type, Rank> strides{};
  index_type step = 1;
  for (std::size_t i = Rank; i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

// Element types that are stored narrow and read as float (half, bfloat16) say so with to_float.
template <class T>
constexpr float as_float(const T& value) noexcept {
  if constexpr (requires { value.to_float(); }) {
    return value.to_float();
  } else {
    return static_cast<float>(value);
  }
}

// How a handle and an offset (in elements of storage) give values. An accessor of one's own offers
// the same five names; `read` yields `out.size()` values that lie `stride` apart.
template <class T>
struct pointer_accessor {
  using element_type = T;
  using value_type = std::remove_const_t<T>;
  using reference = T&;
  using data_handle_type = T*;

  static constexpr reference access(data_handle_type data, index_type offset) noexcept {
    return data[offset];
  }
  static constexpr void read(data_handle_type data, index_type offset, index_type stride,
                             std::span<float> out) noexcept {
    const T* from = data + offset;
    for (float& value : out) {
      value = as_float(*from);
      from += stride;
    }
  }
};

template <class T, int Rank, class Accessor = pointer_accessor<T>>
class tensor_view {
  static_assert(Rank >= 1 && Rank <= 6, "tensor_view: the rank must be from 1 to 6");

 public:
  using element_type = T;
  using value_type = typename Accessor::value_type;
  using reference = typename Accessor::reference;
  using accessor_type = Accessor;
  using data_handle_type = typename Accessor::data_handle_type;
  using extents_type = shape_type<Rank>;

  static constexpr int rank() noexcept { return Rank; }

  constexpr tensor_view(data_handle_type data, const extents_type& extents) noexcept
      : tensor_view(data, extents, row_major_strides(extents)) {}
  constexpr tensor_view(data_handle_type data, const extents_type& extents,
                        const extents_type& strides) noexcept
      : data_(data), extents_(extents), strides_(strides) {}

  // A view of values that may be written is also a view of values that may be read.
  template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T> &&
             std::is_same_v<Accessor, pointer_accessor<T>>)
  constexpr tensor_view(const tensor_view<U, Rank>& other) noexcept
      : tensor_view(other.data_handle(), other.extents(), other.strides()) {}

  constexpr const extents_type& extents() const noexcept { return extents_; }
  constexpr const extents_type& strides() const noexcept { return strides_; }
  constexpr index_type extent(int axis) const noexcept {
    return extents_[static_cast<std::size_t>(axis)];
  }
  constexpr index_type stride(int axis) const noexcept {
    return strides_[static_cast<std::size_t>(axis)];
  }
  constexpr index_type size() const noexcept { return volume(extents_); }
  constexpr bool empty() const noexcept { return size() == 0; }
  constexpr data_handle_type data_handle() const noexcept { return data_; }

  // True when the values lie in row-major order without gaps.
  constexpr bool is_exhaustive() const noexcept {
    index_type step = 1;
    for (int axis = Rank; axis-- > 0;) {
      if (extent(axis) == 0) return true;
      if (extent(axis) != 1 && stride(axis) != step) return false;
      step *= extent(axis);
    }
    return true;
  }

  template <std::convertible_to<index_type>... I>
    requires(sizeof...(I) == Rank)
  constexpr reference operator()(I... i) const noexcept {
    const extents_type at{static_cast<index_type>(i)...};
    index_type offset = 0;
    for (std::size_t axis = 0; axis < Rank; ++axis) offset += at[axis] * strides_[axis];
    return Accessor::access(data_, offset);
  }

  // Copies the flat positions [begin, begin + out.size()) as floats.
  constexpr void read(index_type begin, std::span<float> out) const noexcept {
    for_each_piece(begin, static_cast<index_type>(out.size()),
                   [&](index_type offset, index_type step, index_type done, index_type count) {
                     Accessor::read(data_, offset, step,
                                    out.subspan(static_cast<std::size_t>(done),
                                                static_cast<std::size_t>(count)));
                   });
  }

  // Stores floats at the flat positions [begin, begin + in.size()).
  constexpr void write(index_type begin, std::span<const float> in) const noexcept
    requires(!std::is_const_v<T> && std::is_constructible_v<T, float>)
  {
    for_each_piece(begin, static_cast<index_type>(in.size()),
                   [&](index_type offset, index_type step, index_type done, index_type count) {
                     for (index_type i = 0; i < count; ++i) {
                       Accessor::access(data_, offset + i * step) =
                           static_cast<T>(in[static_cast<std::size_t>(done + i)]);
                     }
                   });
  }

 private:
  // Cuts a flat interval where a row of the last axis ends and calls
  // f(offset, step, values done so far, count) for every piece.
  template <class F>
  constexpr void for_each_piece(index_type begin, index_type size, F f) const noexcept {
    if (size == 0) return;
    if (is_exhaustive()) {
      f(begin, index_type{1}, index_type{0}, size);
      return;
    }
    const index_type row = extent(Rank - 1);
    for (index_type done = 0; done < size;) {
      index_type rest = begin + done;
      const index_type left_in_row = row - rest % row;
      index_type offset = 0;
      for (int axis = Rank; axis-- > 0;) {
        offset += rest % extent(axis) * stride(axis);
        rest /= extent(axis);
      }
      const index_type count = left_in_row < size - done ? left_in_row : size - done;
      f(offset, stride(Rank - 1), done, count);
      done += count;
    }
  }

  [[no_unique_address]] data_handle_type data_;
  extents_type extents_;
  extents_type strides_;
};

// Anything with a shape that can be read as floats.
template <class V>
concept readable_view = requires(const V view, index_type i, std::span<float> out) {
  { V::rank() } -> std::convertible_to<int>;
  view.extents();
  { view.size() } -> std::same_as<index_type>;
  view.read(i, out);
};

// A view of floats in memory: a kernel may take its pointer where is_exhaustive() holds.
template <class V>
concept float_view =
    readable_view<V> && (std::is_same_v<typename V::accessor_type, pointer_accessor<const float>> ||
                         std::is_same_v<typename V::accessor_type, pointer_accessor<float>>);

// Calls f(begin, pointer to `count` floats, count) for the flat interval [begin, begin + size):
// once where the floats lie in memory, else by chunks copied to the stack.
template <readable_view V, class F>
constexpr void for_each_chunk(const V& view, index_type begin, index_type size, F f) noexcept {
  if constexpr (float_view<V>) {
    if (view.is_exhaustive()) {
      f(begin, static_cast<const float*>(view.data_handle()) + begin, size);
      return;
    }
  }
  constexpr index_type chunk = 256;
  float buffer[chunk] = {};
  for (index_type done = 0; done < size; done += chunk) {
    const index_type count = size - done < chunk ? size - done : chunk;
    view.read(begin + done, std::span<float>(buffer, static_cast<std::size_t>(count)));
    f(begin + done, static_cast<const float*>(buffer), count);
  }
}

}  // namespace vq::inline v1

#endif
