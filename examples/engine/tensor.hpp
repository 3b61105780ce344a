// Values with a shape. Weights keep the layout of the file; activations are channels-last, without
// a batch axis: images (height, width, channels), sequences (tokens, features), vectors (features).
#ifndef ENGINE_TENSOR_HPP
#define ENGINE_TENSOR_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <vq/core/tensor_view.hpp>

namespace engine {

using vq::index_type;
using shape_type = std::vector<index_type>;

inline index_type volume(const shape_type& shape) {
  index_type product = 1;
  for (const index_type extent : shape) product *= extent;
  return product;
}

// "[32, 32, 3]"
inline std::string spelled(const shape_type& shape) {
  std::string text = "[";
  for (const index_type extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

// A size or position as the standard library counts it.
inline std::size_t at(index_type i) { return static_cast<std::size_t>(i); }

struct tensor {
  shape_type shape;
  std::vector<float> values;

  index_type extent(std::size_t axis) const { return shape[axis]; }
  index_type size() const { return static_cast<index_type>(values.size()); }
};

// The library's window onto a tensor of `Rank` axes.
template <int Rank>
vq::tensor_view<const float, Rank> view(const tensor& t) {
  vq::shape_type<Rank> extents{};
  std::copy(t.shape.begin(), t.shape.end(), extents.begin());
  return {t.values.data(), extents};
}
template <int Rank>
vq::tensor_view<float, Rank> view(tensor& t) {
  vq::shape_type<Rank> extents{};
  std::copy(t.shape.begin(), t.shape.end(), extents.begin());
  return {t.values.data(), extents};
}

}  // namespace engine

#endif
