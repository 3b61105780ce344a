#include "demo/transformer/networks.hpp"

namespace demo {

namespace {

constexpr engine::index_type timed_images = 20;

template <class Network>
measured measure(const Network& network, const engine::image_set& images,
                 const engine::parallel_for& run, const progress_step& step) {
  return {engine::evaluate(network, images, images.size(), run, step),
          engine::milliseconds(network, images, timed_images)};
}

}  // namespace

measured run_in_floats(const engine::graph& g, const engine::image_set& images,
                       const engine::parallel_for& run, const progress_step& step) {
  return measure(engine::float_executor(g), images, run, step);
}
measured run_simulated(const engine::quantized_graph& q, const engine::image_set& images,
                       const engine::parallel_for& run, const progress_step& step) {
  return measure(engine::simulated_network<double>(q), images, run, step);
}

}  // namespace demo
