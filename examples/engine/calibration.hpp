// What calibration images say about the outputs of every node, and the parameters that follow.
#ifndef ENGINE_CALIBRATION_HPP
#define ENGINE_CALIBRATION_HPP

#include <functional>
#include <span>
#include <vector>

#include <vq/calibrate/entropy.hpp>
#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/histogram.hpp>
#include <vq/calibrate/moving_average.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/calibrate/percentile.hpp>
#include <vq/calibrate/torch_l2.hpp>
#include <vq/simd.hpp>

#include "engine/estimator.hpp"
#include "engine/format.hpp"
#include "engine/graph.hpp"
#include "engine/image_set.hpp"
#include "engine/parallel.hpp"

namespace engine {

// One tensor, as the observers of the library saw it: 64 KiB whatever the number of images.
struct tensor_statistics {
  vq::moving_average_observer average;
  vq::histogram_observer histogram;

  vq::status observe(std::span<const float> values) {
    const vq::tensor_view<const float, 1> x(values.data(), {std::ssize(values)});
    if (const auto s = average.observe(vq::simd::native, x); s != vq::status::ok) return s;
    return histogram.observe(vq::simd::native, x);
  }
  vq::status merge(const tensor_statistics& later) {
    if (const auto s = average.merge(later.average); s != vq::status::ok) return s;
    return histogram.merge(later.histogram);
  }
};

// The parameters of a tensor for one format. Errors: no_data.
template <vq::quantizer_policy Policy>
vq::result<vq::affine_param> estimate(const Policy& policy, const tensor_statistics& seen,
                                      estimator how) {
  switch (how) {
    case estimator::minmax:
      return vq::estimate_params(policy, seen.histogram, vq::minmax{});
    case estimator::moving_average:
      return vq::estimate_params(policy, seen.average);
    case estimator::percentile:
      return vq::estimate_params(policy, seen.histogram, vq::percentile{});
    case estimator::mse:
      return vq::estimate_params(policy, seen.histogram, vq::mse{});
    case estimator::entropy:
      return vq::estimate_params(policy, seen.histogram, vq::entropy{});
    case estimator::torch_l2:
      return vq::estimate_params(policy, seen.histogram, vq::torch_l2{});
  }
  return vq::status::bad_argument;
}

// Runs images through a network and watches the outputs for which `watched` holds. Shards of images
// are observed apart and merged in their order: the result does not depend on the threads.
// progress() is called after each image, from any thread. Errors: not_finite, with the node's name.
vq::result<std::vector<tensor_statistics>, vq::failure> observe(
    const graph& g, const std::vector<bool>& watched, const image_set& images,
    const parallel_for& run, const std::function<void()>& progress);

// The parameters of all watched outputs in 8, 6 or 4 bits; the others keep the identity.
// Errors: no_data, with the node's name.
vq::result<std::vector<vq::affine_param>, vq::failure> estimate(
    const graph& g, const std::vector<bool>& watched, const std::vector<tensor_statistics>& seen,
    estimator how, int bits, const parallel_for& run);

}  // namespace engine

#endif
