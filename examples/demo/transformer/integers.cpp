#include <vq/simd.hpp>

#include "demo/transformer/measure.hpp"
#include "engine/integer_network.hpp"

namespace demo {

namespace {

using integer_network = engine::transformer_network<vq::simd::native_t>;

}  // namespace

vq::result<measured, vq::failure> run_in_integers(const engine::quantized_graph& q,
                                                  const image_sets& images,
                                                  const engine::parallel_for& run,
                                                  const progress_step& step) {
  const auto network = integer_network::build(q);
  if (!network) return network.error();
  return measure(*network, images, run, step);
}

vq::result<engine::path_difference, vq::failure> compare_both_paths(
    const engine::quantized_graph& q, const engine::image_set& images, engine::index_type count) {
  const auto network = integer_network::build(q);
  if (!network) return network.error();
  return engine::compare_paths<engine::simulated_network<double>>(q, *network, images, count);
}

}  // namespace demo
