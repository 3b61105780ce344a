// Layer norm and RMS norm (Zhang and Sennrich 2019, arXiv 1910.07467) on the rows of a matrix.
#ifndef ENGINE_LANGUAGE_NORMALIZATION_HPP
#define ENGINE_LANGUAGE_NORMALIZATION_HPP

#include <cmath>
#include <vector>

#include "engine/float_conv2d.hpp"

namespace engine {

struct row_layer_norm {
  std::vector<float> gamma, beta;
  float epsilon = 1e-5f;

  matrix operator()(const matrix& x) const {
    const Eigen::Map<const Eigen::RowVectorXf> scale(gamma.data(), x.cols());
    const Eigen::Map<const Eigen::RowVectorXf> shift(beta.data(), x.cols());
    matrix y(x.rows(), x.cols());
    for (Eigen::Index r = 0; r < x.rows(); ++r) {
      const float mean = x.row(r).mean();
      y.row(r).array() = x.row(r).array() - mean;
      const float factor =
          1 / std::sqrt(y.row(r).squaredNorm() / static_cast<float>(x.cols()) + epsilon);
      y.row(r).array() = y.row(r).array() * factor * scale.array() + shift.array();
    }
    return y;
  }
};

struct row_rms_norm {
  std::vector<float> gamma;
  float epsilon = 1e-5f;

  matrix operator()(const matrix& x) const {
    const Eigen::Map<const Eigen::RowVectorXf> scale(gamma.data(), x.cols());
    matrix y(x.rows(), x.cols());
    for (Eigen::Index r = 0; r < x.rows(); ++r) {
      const float factor =
          1 / std::sqrt(x.row(r).squaredNorm() / static_cast<float>(x.cols()) + epsilon);
      y.row(r).array() = x.row(r).array() * factor * scale.array();
    }
    return y;
  }
};

}  // namespace engine

#endif
