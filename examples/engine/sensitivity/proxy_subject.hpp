// The sensitivity of a CNN or a vision transformer as estimated from each layer's own error, without a
// run of the network for each trial (vq/analyze/sensitivity_proxy.hpp says what is estimated, and when
// it misleads).
//
//   output-sqnr    noise to signal of the layer's outputs, at sampled pixels or tokens of every image
//   output-fisher  squared errors of outputs times their squared gradients, at the same samples
//   fisher         squared errors of weights times their squared gradients
//   second-order   squared errors of weights times the mean curvature of the layer
//
// The last three are in the unit of the divergence. Gradients start with a random vector whose covariance is the Hessian of the divergence with respect
// to the logits (gradient.hpp): no labels. Estimates of layers add up; there is no base but floats.
// Memory: the first two keep `samples` rows of what each layer reads (ViT: 45 MB), fisher one float for
// each weight and subset, second-order one number for each layer and subset.
#ifndef ENGINE_SENSITIVITY_PROXY_SUBJECT_HPP
#define ENGINE_SENSITIVITY_PROXY_SUBJECT_HPP

#include <memory>

#include "engine/graph.hpp"
#include "engine/image_set.hpp"
#include "engine/parallel.hpp"
#include "engine/sensitivity/proxy.hpp"
#include "engine/sensitivity/subject.hpp"

namespace engine {

struct proxy_subject_options {
  proxy kind = proxy::fisher;
  index_type images = 512;
  index_type subsets = 8;
  index_type samples = 1024;  // rows of what a layer reads, in all; at least one of each image
  parallel_for run = {};
};

// `g`: batch norms folded, activations not fused.
std::unique_ptr<subject> make_proxy_subject(const graph& g, const image_set& images,
                                            const proxy_subject_options& options);

}  // namespace engine

#endif
