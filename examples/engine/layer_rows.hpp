// A convolution or linear layer as a product: y = x W^T, a row of x for each output pixel or token, in
// the order of its weights (in, height, width). A convolution in groups is a product for each group.
//
//   const layer_rows rows(node, shape_of_its_input);
//   rows.copy(input, row, group, to);      // what output `row` of this group has read: inputs() floats
#ifndef ENGINE_LAYER_ROWS_HPP
#define ENGINE_LAYER_ROWS_HPP

#include <algorithm>
#include <optional>
#include <variant>

#include "engine/graph.hpp"
#include "engine/window.hpp"

namespace engine {

class layer_rows {
 public:
  layer_rows(const node& n, const shape_type& in) {
    const tensor& weight = *weight_of(n.op);
    outputs_ = weight.extent(0);
    inputs_ = weight.size() / outputs_;
    rows_ = volume(n.shape) / outputs_;
    if (const auto* conv = std::get_if<conv2d>(&n.op)) {
      groups_ = conv->groups;
      walk_.emplace(*conv, in, n.shape);
    }
  }

  index_type rows() const { return rows_; }
  index_type groups() const { return groups_; }
  index_type inputs() const { return inputs_; }              // of a row
  index_type outputs() const { return outputs_ / groups_; }  // of a group

  void copy(const float* in, index_type row, index_type group, float* to) const {
    if (!walk_) {
      std::copy_n(in + row * inputs_, inputs_, to);
      return;
    }
    const index_type area = walk_->kernel_height * walk_->kernel_width, channels = inputs_ / area;
    const auto [y, x] = walk_->at_pixel(row);
    std::fill_n(to, inputs_, 0.f);
    for (index_type t = y.first; t < y.last; ++t) {
      for (index_type u = x.first; u < x.last; ++u) {
        const float* from = in +
                            ((y.origin + t) * walk_->in_width + x.origin + u) * walk_->in_channels +
                            group * channels;
        float* tap = to + t * walk_->kernel_width + u;
        for (index_type c = 0; c < channels; ++c) tap[c * area] = from[c];
      }
    }
  }

 private:
  index_type rows_ = 0, inputs_ = 0, outputs_ = 0, groups_ = 1;
  std::optional<window_walk> walk_;  // none for a linear layer
};

}  // namespace engine

#endif
