// Where the outputs of softmax, GELU and layer norm lie in the first, a middle and the last encoder
// layer of the float network, and where formats of 4 bits put their levels.
#ifndef DEMO_TRANSFORMER_DISTRIBUTIONS_HPP
#define DEMO_TRANSFORMER_DISTRIBUTIONS_HPP

#include <string>
#include <vector>

#include <vq/calibrate/histogram.hpp>
#include <vq/io/failure.hpp>

#include "engine/graph.hpp"
#include "engine/image_set.hpp"

namespace demo {

// A format that is fitted to the distribution.
struct fitted_grid {
  std::string name;           // of the policy
  std::vector<float> levels;  // rising: what its codes stand for
  double sqnr_db = 0;         // expected, of the values that were seen
  bool chosen = false;        // the highest of its distribution
};

enum class layer_part { softmax, gelu, layer_norm };

struct distribution {
  engine::index_type encoder_layer = 0;
  layer_part part = layer_part::softmax;
  std::string node;  // whose outputs these are
  vq::histogram values;
  vq::histogram logarithms;         // to base 2, of what is not 0; after softmax only
  std::vector<vq::range> channels;  // after layer norm only
  std::vector<fitted_grid> grids;
};

struct distributions {
  std::string model;
  engine::index_type images = 0, encoder_layers = 0;
  std::vector<distribution> all;  // by encoder layer, then in the order of computation
};

// Of as many calibration images as quantization reads. Ranges and candidates are those of `best`.
// Errors: not_finite, with the layer's name; a network without encoder layers.
vq::result<distributions, vq::failure> observe_distributions(const engine::model& model,
                                                             const engine::image_set& calibration);

}  // namespace demo

#endif
