#include <vq/simd.hpp>

#include "demo/transformer/networks.hpp"
#include "engine/transformer_network.hpp"

namespace demo {

namespace {

using integer_network = engine::transformer_network<vq::simd::native_t>;
constexpr engine::index_type timed_images = 20;

}  // namespace

vq::result<measured, vq::failure> run_in_integers(const engine::quantized_graph& q,
                                                  const engine::image_set& images,
                                                  const engine::parallel_for& run,
                                                  const progress_step& step) {
  const auto network = integer_network::build(q);
  if (!network) return network.error();
  return measured{engine::evaluate(*network, images, images.size(), run, step),
                  engine::milliseconds(*network, images, timed_images)};
}

vq::result<engine::path_difference, vq::failure> compare_both_paths(
    const engine::quantized_graph& q, const engine::image_set& images, engine::index_type count) {
  const auto network = integer_network::build(q);
  if (!network) return network.error();
  return engine::compare_paths<engine::simulated_network<double>>(q, *network, images, count);
}

}  // namespace demo
