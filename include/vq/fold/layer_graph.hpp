// A network as the auditor sees it: what each node is and which nodes it reads. The caller's arrays
// stay where they are.
#ifndef VQ_FOLD_LAYER_GRAPH_HPP
#define VQ_FOLD_LAYER_GRAPH_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

enum class layer_kind : std::uint8_t {
  input,        // of the network
  convolution,  // of any rank and groups, depthwise included
  transposed_convolution,
  linear,
  batch_norm,
  other_norm,  // layer, group, instance, RMS normalization: statistics of the sample
  identity,    // dropout at inference
  relu,
  relu6,
  other_activation,  // GELU, SiLU, sigmoid, hard swish, softmax, ...
  add,               // and other arithmetic of several tensors
  concat,
  max_pool,
  average_pool,  // global pooling included
  other,         // whatever moves or mixes channels: flatten, reshape, attention, ...
};

// One node of the caller's graph. Nodes are listed in an order in which they can be computed: the
// indices in `inputs` are smaller than the node's own.
struct layer_node {
  const char* name = "";
  layer_kind kind = layer_kind::other;
  std::span<const index_type> inputs = {};
  std::span<const index_type> consumers = {};  // who reads it; compared with `inputs` where given
  index_type zero_padding = 0;                 // most zeros added on a side (pooling: and counted)
  bool is_output = false;                      // the network returns its value
  bool shared_weights = false;                 // its weights are used by another layer as well
  bool batch_statistics = false;               // batch norm without running statistics
  bool positive_scale = false;                 // batch norm with k > 0 in every channel
  bool zero_shift = false;                     // batch norm with c = 0 in every channel
};

// Questions about the nodes of one network.
class layer_graph {
 public:
  explicit constexpr layer_graph(std::span<const layer_node> nodes) noexcept : nodes_(nodes) {}

  constexpr index_type size() const noexcept { return static_cast<index_type>(nodes_.size()); }
  constexpr const layer_node& operator[](index_type i) const noexcept {
    return nodes_[static_cast<std::size_t>(i)];
  }

  struct readers {
    index_type count = 0;  // a node that reads the value twice counts twice
    index_type first = -1;
  };
  constexpr readers readers_of(index_type node) const noexcept {
    readers found;
    for (index_type i = node + 1; i < size(); ++i) {
      for (const index_type input : (*this)[i].inputs) {
        if (input != node) continue;
        if (found.count++ == 0) found.first = i;
      }
    }
    return found;
  }

  // Someone needs the node's value besides its first reader.
  constexpr bool is_read_elsewhere(index_type node) const noexcept {
    return (*this)[node].is_output || readers_of(node).count > 1;
  }

  // Every input lies before its reader, a batch norm has one, and where consumers are given they
  // are those that follow from the inputs.
  constexpr bool is_consistent() const noexcept {
    for (index_type i = 0; i < size(); ++i) {
      const layer_node& node = (*this)[i];
      if (node.kind == layer_kind::batch_norm && node.inputs.size() > 1) return false;
      for (const index_type input : node.inputs) {
        if (input < 0 || input >= i) return false;
      }
    }
    for (index_type i = 0; i < size(); ++i) {
      const auto& given = (*this)[i].consumers;
      if (given.empty()) continue;
      if (static_cast<index_type>(given.size()) != readers_of(i).count) return false;
      for (const index_type reader : given) {
        if (reader <= i || reader >= size() || !reads((*this)[reader], i)) return false;
      }
    }
    return true;
  }

 private:
  static constexpr bool reads(const layer_node& node, index_type input) noexcept {
    for (const index_type i : node.inputs) {
      if (i == input) return true;
    }
    return false;
  }

  std::span<const layer_node> nodes_;
};

}  // namespace vq::inline v1

#endif
