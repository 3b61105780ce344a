// A network and its quantized counterpart while that comes into being, node by node, with what both
// have computed for the calibration images at the last cut: the next nodes are computed from there.
//
// Memory: one tensor per image and network (the ViT: 50 KB), of at most 128 images, and one batch of
// outputs of single nodes. Outputs are visited in the order of the images: results do not depend on
// the threads.
#ifndef ENGINE_NETWORK_PAIR_HPP
#define ENGINE_NETWORK_PAIR_HPP

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "engine/fake_quantization.hpp"
#include "engine/graph_part.hpp"
#include "engine/image_set.hpp"
#include "engine/parallel.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

class network_pair {
 public:
  graph exact;
  quantized_graph quantized;

  network_pair(const graph& g, const image_set& images, index_type count, const parallel_for& run)
      : exact(g), quantized{g, {}, {}, {}}, run_(run) {
    quantized.outputs.resize(g.nodes.size());
    quantized.weights.resize(g.nodes.size());
    for (index_type i = 0; i < std::min({count, images.size(), most_calibration_images}); ++i) {
      at_cut_.push_back({images.read(i), images.read(i)});
    }
  }

  index_type images() const { return std::ssize(at_cut_); }

  // Calls visit(quantized output, exact output) of a node for every image; without `exact_too` the
  // second one is empty.
  template <class Visit>
  void for_each_output(index_type node, bool exact_too, Visit visit) {
    const auto nodes = ancestors(exact, cut_, node);
    const fake_quantized_network approximate(part_of(quantized, nodes));
    const float_executor reference(part_of(exact, nodes));
    std::vector<memory> room;
    for (index_type t = 0; t < run_.threads; ++t) {
      room.push_back({approximate.workspace(), reference.workspace()});
    }

    std::vector<outputs> batch(at(std::min<index_type>(images(), 16)));
    for (index_type begin = 0; begin < images(); begin += std::ssize(batch)) {
      const index_type count = std::min(std::ssize(batch), images() - begin);
      run_(count, [&](index_type i, index_type worker) {
        const outputs& from = at_cut_[at(begin + i)];
        const auto q = approximate.run(from.quantized, room[at(worker)].quantized);
        batch[at(i)].quantized.assign(q.begin(), q.end());
        if (!exact_too) return;
        const auto x = reference.run(from.exact, room[at(worker)].exact);
        batch[at(i)].exact.assign(x.begin(), x.end());
      });
      for (index_type i = 0; i < count; ++i) {
        visit(std::span(batch[at(i)].quantized), std::span(batch[at(i)].exact));
      }
    }
  }

  // From now on everything is computed from the output of this node, which must be a cut.
  void advance(index_type node) {
    index_type image = 0;
    for_each_output(node, true, [&](std::span<const float> q, std::span<const float> x) {
      next_ = {{q.begin(), q.end()}, {x.begin(), x.end()}};
      std::swap(at_cut_[at(image++)], next_);
    });
    cut_ = node;
  }

 private:
  struct outputs {
    std::vector<float> quantized, exact;
  };
  struct memory {
    float_executor::workspace_type quantized, exact;
  };

  parallel_for run_;
  index_type cut_ = 0;
  std::vector<outputs> at_cut_;
  outputs next_;
};

}  // namespace engine

#endif
