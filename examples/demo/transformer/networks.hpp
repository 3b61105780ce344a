// What the transformer demo does with networks, each in a unit of its own so that none takes long to
// compile: calibrate one, run it in floats, in integers or simulated, compare the last two.
#ifndef DEMO_TRANSFORMER_NETWORKS_HPP
#define DEMO_TRANSFORMER_NETWORKS_HPP

#include <functional>

#include "engine/evaluation.hpp"
#include "engine/path_check.hpp"
#include "engine/transformer_scheme.hpp"

namespace demo {

vq::result<engine::quantized_graph, vq::failure> calibrate(const engine::graph& g,
                                                           const engine::image_set& images,
                                                           const engine::transformer_scheme& scheme,
                                                           const engine::parallel_for& run);

// What networks are compared on. No calibration reads the images from `held_out` on.
struct image_sets {
  const engine::image_set& test;
  const engine::image_set& calibration;
  engine::index_type held_out;

  engine::index_type held_out_size() const { return calibration.size() - held_out; }
};

struct measured {
  engine::logits_table test, held_out;
  double milliseconds = 0;  // per image on one thread
};
using progress_step = std::function<void()>;

measured run_in_floats(const engine::graph& g, const image_sets& images,
                       const engine::parallel_for& run, const progress_step& step);
measured run_simulated(const engine::quantized_graph& q, const image_sets& images,
                       const engine::parallel_for& run, const progress_step& step);
// Errors: a layer that has no integer kernel for its formats.
vq::result<measured, vq::failure> run_in_integers(const engine::quantized_graph& q,
                                                  const image_sets& images,
                                                  const engine::parallel_for& run,
                                                  const progress_step& step);
vq::result<engine::path_difference, vq::failure> compare_both_paths(
    const engine::quantized_graph& q, const engine::image_set& images, engine::index_type count);

}  // namespace demo

#endif
