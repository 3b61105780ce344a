// A tensor that owns its values, for hosted programs. Row-major, contiguous.
#ifndef VQ_TENSOR_TENSOR_HPP
#define VQ_TENSOR_TENSOR_HPP

#include <span>
#include <utility>
#include <vector>

#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

template <class T, int Rank>
class tensor {
 public:
  using value_type = T;

  tensor() noexcept = default;
  explicit tensor(const shape_type<Rank>& extents, const T& value = T{})
      : extents_(extents), values_(static_cast<std::size_t>(volume(extents)), value) {}
  // Takes values that are in row-major order; as many as the extents say.
  tensor(const shape_type<Rank>& extents, std::vector<T> values)
      : extents_(extents), values_(std::move(values)) {
    VQ_ASSERT(static_cast<index_type>(values_.size()) == volume(extents));
  }

  const shape_type<Rank>& extents() const noexcept { return extents_; }
  index_type extent(int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  index_type size() const noexcept { return static_cast<index_type>(values_.size()); }

  std::span<T> values() noexcept { return values_; }
  std::span<const T> values() const noexcept { return values_; }
  tensor_view<T, Rank> view() noexcept { return {values_.data(), extents_}; }
  tensor_view<const T, Rank> view() const noexcept { return {values_.data(), extents_}; }

 private:
  shape_type<Rank> extents_{};
  std::vector<T> values_;
};

}  // namespace vq::inline v1

#endif
