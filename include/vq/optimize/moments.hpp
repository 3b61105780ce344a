// Second moments of what a linear layer reads, as it was (x) and as quantization made it (q): all
// that ridge refinement and error feedback need to know of the data, in memory that does not grow
// with it.
//
//   auto = sum over tokens of q q^T,   cross = sum over tokens of x q^T
//
// Both have one more row and column than the layer has inputs: a constant 1, whose weight is the
// bias. Sums in double.
#ifndef VQ_OPTIMIZE_MOMENTS_HPP
#define VQ_OPTIMIZE_MOMENTS_HPP

#include <Eigen/Core>

#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

using square_matrix = Eigen::MatrixXd;

class input_moments {
 public:
  explicit input_moments(index_type inputs)
      : auto_(square_matrix::Zero(inputs + 1, inputs + 1)),
        cross_(square_matrix::Zero(inputs + 1, inputs + 1)) {}

  // Tokens of a batch: (tokens, inputs) each, row-major. Without `exact` the layer is taken to have
  // read the quantized values from the start.
  void add(const float* quantized, const float* exact, index_type tokens) {
    const index_type inputs = auto_.rows() - 1;
    const auto with_ones = [&](const float* values) {
      Eigen::MatrixXd m(tokens, inputs + 1);
      m.leftCols(inputs) = row_major(values, tokens, inputs).template cast<double>();
      m.col(inputs).setOnes();
      return m;
    };
    const Eigen::MatrixXd q = with_ones(quantized);
    auto_.selfadjointView<Eigen::Lower>().rankUpdate(q.transpose());
    if (exact == nullptr || exact == quantized) {
      cross_.noalias() += q.transpose() * q;
    } else {
      cross_.noalias() += with_ones(exact).transpose() * q;
    }
    tokens_ += tokens;
  }

  index_type inputs() const { return auto_.rows() - 1; }
  index_type tokens() const { return tokens_; }
  square_matrix of_quantized() const { return auto_.selfadjointView<Eigen::Lower>(); }
  const square_matrix& of_exact_with_quantized() const { return cross_; }

 private:
  static Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>
  row_major(const float* values, index_type rows, index_type columns) {
    return {values, rows, columns};
  }

  square_matrix auto_, cross_;
  index_type tokens_ = 0;
};

}  // namespace vq::inline v1

#endif
