// Runs a graph forwards and backwards: the gradient of a loss with respect to the output of every
// node, for metrics that ask which errors matter (vq/optimize/product_search.hpp).
//
//   gradient_executor network(graph);
//   auto memory = network.workspace();
//   network.run(image, memory,
//               [&](std::span<const float> logits, std::span<float> gradient) {
//                 cross_entropy_gradient(logits, label, gradient);
//               },
//               [&](index_type node, std::span<const float> output, std::span<const float> gradient)
//               { ... });
//
// The hook sees every node once, from the last to the first. All outputs and gradients of one image
// are kept while it runs; the executor never changes, so threads share it, each with a workspace of
// its own. Where an activation clamps, nothing passes (ReLU at 0 included).
#ifndef ENGINE_GRADIENT_HPP
#define ENGINE_GRADIENT_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "engine/float_kernel.hpp"
#include "engine/gradient_kernel.hpp"
#include "engine/graph.hpp"

namespace engine {

class gradient_executor {
 public:
  struct workspace_type {
    std::vector<float> values, gradients, scratch;
  };

  explicit gradient_executor(const graph& g) {
    for (const node& n : g.nodes) {
      std::vector<shape_type> shapes;
      for (const index_type from : n.inputs) shapes.push_back(g[from].shape);
      step s{kernel_of(n.op, shapes, n.shape),
             gradient_kernel_of(n.op, shapes, n.shape),
             n.inputs,
             size_,
             volume(n.shape),
             {}};
      const index_type channels = n.shape.empty() ? 1 : n.shape.back();
      for (index_type c = 0; c < channels; ++c) s.limits.push_back(limits_of(n.op, c));
      const auto open = [](vq::range r) {
        return r.lowest == unclamped.lowest && r.highest == unclamped.highest;
      };
      if (std::all_of(s.limits.begin(), s.limits.end(), open)) s.limits.clear();
      scratch_ = std::max(scratch_, s.forward.scratch);
      size_ += s.size;
      steps_.push_back(std::move(s));
    }
  }

  workspace_type workspace() const {
    return {std::vector<float>(at(size_)), std::vector<float>(at(size_)),
            std::vector<float>(at(scratch_))};
  }

  // What a node made in the last run: for hooks that ask for a node's inputs.
  std::span<const float> output(index_type node, const workspace_type& memory) const {
    const step& s = steps_[at(node)];
    return std::span(memory.values).subspan(at(s.offset), at(s.size));
  }

  // loss(output of the last node, gradient to fill). The output is valid until the workspace is used
  // again.
  template <class Loss, class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory, Loss&& loss,
                             Hook&& hook) const {
    std::copy(image.begin(), image.end(), memory.values.begin());
    for (const step& s : steps_) {
      const auto in = inputs_of<const float>(s, memory.values);
      s.forward.run({in.data(), s.inputs.size()}, memory.values.data() + s.offset,
                    memory.scratch.data());
    }
    std::fill(memory.gradients.begin(), memory.gradients.end(), 0.f);
    const auto logits = part(steps_.back(), memory.values);
    loss(std::span<const float>(logits), part(steps_.back(), memory.gradients));
    for (index_type i = static_cast<index_type>(steps_.size()) - 1; i >= 0; --i) {
      const step& s = steps_[at(i)];
      const std::span<float> out = part(s, memory.values), gradient = part(s, memory.gradients);
      hook(i, std::span<const float>(out), std::span<const float>(gradient));
      for (std::size_t k = 0; !s.limits.empty() && k < out.size(); ++k) {
        const vq::range limits = s.limits[k % s.limits.size()];
        if (!(out[k] > limits.lowest && out[k] < limits.highest)) gradient[k] = 0;
      }
      const auto in = inputs_of<const float>(s, memory.values);
      const auto to = inputs_of<float>(s, memory.gradients);
      s.backward({{in.data(), s.inputs.size()},
                  out.data(),
                  gradient.data(),
                  {to.data(), s.inputs.size()}});
    }
    return logits;
  }

 private:
  struct step {
    float_kernel forward;
    gradient_kernel backward;
    std::vector<index_type> inputs;
    index_type offset, size;
    std::vector<vq::range> limits;  // of each channel, or empty where nothing clamps
  };

  static std::span<float> part(const step& s, std::vector<float>& all) {
    return std::span(all).subspan(at(s.offset), at(s.size));
  }
  template <class T>
  std::array<T*, 2> inputs_of(const step& s, std::vector<float>& all) const {
    std::array<T*, 2> in{};
    for (std::size_t k = 0; k < s.inputs.size(); ++k) {
      in[k] = all.data() + steps_[at(s.inputs[k])].offset;
    }
    return in;
  }

  std::vector<step> steps_;
  index_type size_ = 0, scratch_ = 0;
};

inline std::vector<double> probabilities_of(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float z : logits) sum += p.emplace_back(std::exp(double{z} - most));
  for (double& v : p) v /= sum;
  return p;
}

// Of -log p[label], p = softmax(logits): p - one_hot(label).
inline void cross_entropy_gradient(std::span<const float> logits, index_type label,
                                   std::span<float> gradient) {
  const auto p = probabilities_of(logits);
  for (std::size_t i = 0; i < p.size(); ++i) {
    gradient[i] = static_cast<float>(p[i] - (i == at(label) ? 1 : 0));
  }
}

// Of KL(softmax(target) || softmax(logits)): the difference of the probabilities, so 0 where the
// network is its own target. Hessian-guided metrics then need fisher_gradient or labels.
inline void divergence_gradient(std::span<const float> logits, std::span<const float> target,
                                std::span<float> gradient) {
  const auto p = probabilities_of(logits), t = probabilities_of(target);
  for (std::size_t i = 0; i < p.size(); ++i) gradient[i] = static_cast<float>(p[i] - t[i]);
}

// A random vector v with E v v^T = diag(p) - p p^T, the Hessian of both losses above with respect to
// the logits. The expected square of a gradient that starts with it is the diagonal of the
// Gauss-Newton matrix: what squared gradients of labels estimate, with no labels.
// v = sqrt(p) e - p sum(sqrt(p) e), e = +-1.
template <class Random>
void fisher_gradient(std::span<const float> logits, Random& random, std::span<float> gradient) {
  const auto p = probabilities_of(logits);
  std::vector<double> root;
  double sum = 0;
  for (const double v : p)
    sum += root.emplace_back(random() % 2 == 0 ? std::sqrt(v) : -std::sqrt(v));
  for (std::size_t i = 0; i < p.size(); ++i) gradient[i] = static_cast<float>(root[i] - p[i] * sum);
}

}  // namespace engine

#endif
