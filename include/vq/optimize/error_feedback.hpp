// Error feedback (GPTQ): weights are rounded column by column, and every column that is still to
// come moves to make up for the error of those that are done.
//
//   H = sum q q^T + lambda I,  U upper triangular with U^T U = H^-1
//   for each input i:  w^_i = round(w_i),  e = (w_i - w^_i) / U_ii,  w_j -= e U_ij for j > i
//
// Minimizes sum |(W^ - W) q|^2 greedily. The bias, the weight of a constant 1, comes last and is
// not rounded: it takes up what is left of the mean error. lambda is `damping` times the mean
// diagonal of H, 0.01 in the original. `descending` treats the inputs with the largest squares
// first (the original's act-order): better where a few inputs dominate.
// Any rounding takes part: round(output, input, w) returns the value of the code that w gets, so
// groups, codebooks and grids per channel are the caller's.
// Source: Frantar et al. 2022 (GPTQ, arXiv 2210.17323, algorithm 1).
#ifndef VQ_OPTIMIZE_ERROR_FEEDBACK_HPP
#define VQ_OPTIMIZE_ERROR_FEEDBACK_HPP

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <vq/core/result.hpp>
#include <vq/optimize/moments.hpp>

namespace vq::inline v1 {

struct error_feedback_options {
  double damping = 0.01;
  bool descending = false;
};

// The factor U for `moments` of the inputs (square; damped here). not_finite: no such factor.
inline result<square_matrix> inverse_factor(square_matrix moments, double damping) {
  const index_type size = moments.rows();
  for (index_type i = 0; i < size; ++i) {
    if (!(moments(i, i) > 0)) moments(i, i) = 1;  // an input that is always 0
  }
  moments.diagonal().array() += damping * moments.diagonal().mean();
  const Eigen::LLT<square_matrix> factor(moments);
  if (factor.info() != Eigen::Success) return status::not_finite;
  const Eigen::LLT<square_matrix> inverse(factor.solve(square_matrix::Identity(size, size)));
  if (inverse.info() != Eigen::Success) return status::not_finite;
  return square_matrix(inverse.matrixU());
}

// weight (rows, columns) in place, in the order of the factor. Columns from `rounded` on are moved,
// not rounded.
template <class Round>
void round_with_feedback(Eigen::MatrixXd& weight, const square_matrix& factor, index_type rounded,
                         Round round) {
  const index_type rows = weight.rows(), columns = weight.cols();
  Eigen::VectorXd error(rows);
  for (index_type i = 0; i < rounded; ++i) {
    for (index_type o = 0; o < rows; ++o) {
      const double w = weight(o, i);
      weight(o, i) = static_cast<double>(round(o, i, static_cast<float>(w)));
      error(o) = (w - weight(o, i)) / factor(i, i);
    }
    const index_type left = columns - i - 1;
    weight.rightCols(left).noalias() -= error * factor.row(i).tail(left);
  }
}

// weight (out, in) becomes the values of its codes, bias moves. On an error nothing is changed:
// size_mismatch, no_data, bad_argument (damping), not_finite.
template <class Round>
status round_with_feedback(const tensor_view<float, 2>& weight, std::span<float> bias,
                           const input_moments& moments, Round round,
                           error_feedback_options options = {}) {
  const index_type outputs = weight.extent(0), inputs = weight.extent(1);
  if (inputs != moments.inputs() || static_cast<index_type>(bias.size()) != outputs) {
    return status::size_mismatch;
  }
  if (moments.tokens() == 0) return status::no_data;
  if (!(options.damping > 0)) return status::bad_argument;

  const square_matrix of_q = moments.of_quantized();
  std::vector<index_type> order(static_cast<std::size_t>(inputs) + 1);
  std::iota(order.begin(), order.end(), index_type{0});
  if (options.descending) {
    std::stable_sort(order.begin(), order.end() - 1,
                     [&](index_type a, index_type b) { return of_q(a, a) > of_q(b, b); });
  }
  const auto factor = inverse_factor(of_q(order, order), options.damping);
  if (!factor) return factor.error();

  Eigen::MatrixXd whole(outputs, inputs + 1);
  for (index_type o = 0; o < outputs; ++o) {
    for (index_type i = 0; i < inputs; ++i) {
      whole(o, i) = static_cast<double>(weight(o, order[static_cast<std::size_t>(i)]));
    }
    whole(o, inputs) = static_cast<double>(bias[static_cast<std::size_t>(o)]);
  }
  round_with_feedback(whole, *factor, inputs, [&](index_type o, index_type i, float w) {
    return round(o, order[static_cast<std::size_t>(i)], w);
  });
  if (!whole.allFinite()) return status::not_finite;

  for (index_type o = 0; o < outputs; ++o) {
    for (index_type i = 0; i < inputs; ++i) {
      weight(o, order[static_cast<std::size_t>(i)]) = static_cast<float>(whole(o, i));
    }
    bias[static_cast<std::size_t>(o)] = static_cast<float>(whole(o, inputs));
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
