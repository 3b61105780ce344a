// Bias correction for a linear layer whose inputs are quantized too: the mean error of its outputs
// goes into the bias.
//
//   b' = b + E[W x] - E[Wq q] = b + W E[x] - Wq E[q]
//
// x are the inputs in floats, q what quantization made of them; both means lie in the moments
// (optimize/moments.hpp). Closed form, no second run of the network. Ridge refinement and error
// feedback move the bias themselves: this is for weights that were rounded alone. Where only the
// weights are quantized, fold/bias_correction.hpp does with E[x].
// Source: Nagel et al. 2019 (arXiv 1906.04721, section 4.2).
#ifndef VQ_OPTIMIZE_BIAS_CORRECTION_HPP
#define VQ_OPTIMIZE_BIAS_CORRECTION_HPP

#include <cstddef>
#include <span>

#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/fold/channel.hpp>
#include <vq/optimize/moments.hpp>

namespace vq::inline v1 {

// `weight` and `quantized`, before and after, are (out, in): any views that read floats. On an error
// nothing is changed: size_mismatch, no_data (no tokens), not_finite.
template <readable_view Before, readable_view After>
status correct_bias(std::span<float> bias, const Before& weight, const After& quantized,
                    const input_moments& moments) {
  static_assert(Before::rank() == 2 && After::rank() == 2,
                "correct_bias: the weight of a linear layer has two axes");
  const index_type inputs = moments.inputs(), outputs = static_cast<index_type>(bias.size());
  const auto& shape = weight.extents();
  if (shape != quantized.extents() || shape[0] != outputs || shape[1] != inputs) {
    return status::size_mismatch;
  }
  if (moments.tokens() == 0) return status::no_data;

  const auto tokens = static_cast<double>(moments.tokens());
  const square_matrix of_q = moments.of_quantized();  // the last column: sums with the constant 1
  const Eigen::VectorXd mean_x = moments.of_exact_with_quantized().col(inputs) / tokens;
  const Eigen::VectorXd mean_q = of_q.col(inputs) / tokens;
  const auto mean_of = [](const Eigen::VectorXd& mean) {
    return [&mean](index_type i) { return mean(i); };
  };
  const auto moved = [&](index_type o) {
    return static_cast<double>(bias[static_cast<std::size_t>(o)]) +
           response_to_constant(weight, o, 1, mean_of(mean_x)) -
           response_to_constant(quantized, o, 1, mean_of(mean_q));
  };
  for (index_type o = 0; o < outputs; ++o) {
    if (!fits_float(moved(o))) return status::not_finite;
  }
  for (index_type o = 0; o < outputs; ++o) {
    bias[static_cast<std::size_t>(o)] = static_cast<float>(moved(o));
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
