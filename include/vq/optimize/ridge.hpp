// Ridge refinement: weights that make up for the quantization of what they multiply.
//
//   minimize over W', b':  sum over tokens |W' q + b' - (W x + b)|^2 + lambda (|W' - W|^2 + (b' - b)^2)
//   solution, with the bias as the weight of a constant 1:
//   [W' b'] = [W b] (sum x q^T + lambda I) (sum q q^T + lambda I)^-1
//
// x are the inputs in floats, q what quantization made of them (optimize/moments.hpp). Closed form,
// one Cholesky factorization per layer, no back-propagation. lambda is `damping` times the mean
// square of an input, summed over the tokens: with few tokens, or inputs that hardly vary, a larger
// one keeps the weights near where they were. Quantize W' afterwards, best with error feedback
// (optimize/error_feedback.hpp) on the same moments.
// Source: Zhong et al. 2024 (ERQ, ICML 2024, arXiv 2407.06794), whose lambda is an absolute number.
#ifndef VQ_OPTIMIZE_RIDGE_HPP
#define VQ_OPTIMIZE_RIDGE_HPP

#include <span>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <vq/core/status.hpp>
#include <vq/optimize/moments.hpp>

namespace vq::inline v1 {

// weight (out, in) and bias (out) in place. On an error nothing is changed: size_mismatch, no_data
// (no tokens), bad_argument (damping not positive), not_finite (weights or inputs that are not).
inline status refine_by_ridge(const tensor_view<float, 2>& weight, std::span<float> bias,
                              const input_moments& moments, double damping) {
  const index_type outputs = weight.extent(0), inputs = weight.extent(1);
  if (inputs != moments.inputs() || static_cast<index_type>(bias.size()) != outputs) {
    return status::size_mismatch;
  }
  if (moments.tokens() == 0) return status::no_data;
  if (!(damping > 0)) return status::bad_argument;

  Eigen::MatrixXd whole(outputs, inputs + 1);
  for (index_type o = 0; o < outputs; ++o) {
    for (index_type i = 0; i < inputs; ++i) whole(o, i) = static_cast<double>(weight(o, i));
    whole(o, inputs) = static_cast<double>(bias[static_cast<std::size_t>(o)]);
  }
  square_matrix of_q = moments.of_quantized();
  square_matrix of_xq = moments.of_exact_with_quantized();
  const double lambda = damping * of_q.diagonal().head(inputs).mean();
  of_q.diagonal().array() += lambda;
  of_xq.diagonal().array() += lambda;
  const Eigen::LLT<square_matrix> factor(of_q);
  if (factor.info() != Eigen::Success) return status::not_finite;
  // [W' b'] A = [W b] B, A symmetric: A [W' b']^T = B^T [W b]^T.
  const Eigen::MatrixXd refined = factor.solve((whole * of_xq).transpose()).transpose();
  if (!refined.allFinite()) return status::not_finite;

  for (index_type o = 0; o < outputs; ++o) {
    for (index_type i = 0; i < inputs; ++i) weight(o, i) = static_cast<float>(refined(o, i));
    bias[static_cast<std::size_t>(o)] = static_cast<float>(refined(o, inputs));
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
