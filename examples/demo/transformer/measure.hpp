// The logits of one network for all images of the demo, and its time.
#ifndef DEMO_TRANSFORMER_MEASURE_HPP
#define DEMO_TRANSFORMER_MEASURE_HPP

#include "demo/transformer/networks.hpp"

namespace demo {

template <class Network>
measured measure(const Network& network, const image_sets& images, const engine::parallel_for& run,
                 const progress_step& step) {
  constexpr engine::index_type timed_images = 20;
  return {engine::evaluate(network, images.test, images.test.size(), run, step),
          engine::evaluate(network, images.calibration, images.held_out_size(), run, step,
                           images.held_out),
          engine::milliseconds(network, images.test, timed_images)};
}

}  // namespace demo

#endif
