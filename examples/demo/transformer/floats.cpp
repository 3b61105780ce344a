#include "demo/transformer/measure.hpp"

namespace demo {

measured run_in_floats(const engine::graph& g, const image_sets& images,
                       const engine::parallel_for& run, const progress_step& step) {
  return measure(engine::float_executor(g), images, run, step);
}
measured run_simulated(const engine::quantized_graph& q, const image_sets& images,
                       const engine::parallel_for& run, const progress_step& step) {
  return measure(engine::simulated_network<double>(q), images, run, step);
}

}  // namespace demo
