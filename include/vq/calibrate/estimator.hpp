// How a range is chosen: values with options, passed where a range has to be found.
//
//   vq::fit(q, weights, params, vq::mse{});                   // from the data themselves
//   vq::estimate_params(policy, seen, vq::percentile{99.99});   // from an observer
//
//   minmax       everything fits: weights; activations without outliers
//   percentile   a fixed share of the values is cut off: cheap, robust against outliers
//   mse          least squared error of the quantizer itself, whatever its levels
//   entropy      least information lost (TensorRT's search): activations
//   torch_l2     PyTorch's histogram search
//
// An estimator of one's own is a type with `estimator_tag` and
//   estimate(const histogram&, const Policy&) -> result<range>
// or, where a range is not enough, fit(policy, histogram, convention...) -> result<param_type>.
#ifndef VQ_CALIBRATE_ESTIMATOR_HPP
#define VQ_CALIBRATE_ESTIMATOR_HPP

#include <vq/calibrate/histogram.hpp>
#include <vq/policy/concepts.hpp>

namespace vq::inline v1 {

template <class S>
concept estimator = requires { typename S::estimator_tag; };

// The whole range of what was seen.
struct minmax {
  using estimator_tag = void;

  template <quantizer_policy Policy>
  result<range> estimate(const histogram& h, const Policy&) const {
    if (!h.sound()) return status::no_data;
    return h.seen;
  }
};

}  // namespace vq::inline v1

#endif
