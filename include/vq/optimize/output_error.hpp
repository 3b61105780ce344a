// How far a layer's output is off, by three measures, summed over samples (product_search.hpp).
#ifndef VQ_OPTIMIZE_OUTPUT_ERROR_HPP
#define VQ_OPTIMIZE_OUTPUT_ERROR_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

enum class output_metric : std::uint8_t { squared_error, cosine, hessian };

constexpr const char* describe(output_metric m) noexcept {
  switch (m) {
    case output_metric::squared_error:
      return "squared error of the output";
    case output_metric::cosine:
      return "cosine between the outputs";
    case output_metric::hessian:
      return "squared error of the output, weighted by the squared gradient";
  }
  return "unknown metric";
}

struct output_error {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  double squared = 0;    // sum (y^ - y)^2
  double weighted = 0;   // sum (g (y^ - y))^2
  double angle = 0;      // sum of 1 - cos(y^, y) over rows, or over columns of a single output
  double gradients = 0;  // sum g^2
  index_type samples = 0;

  // 0 where both are zeros, 1 where one of them is. For a single output the cosine over the rows.
  template <class Exact, class Got>
  void add_angles(const Exact& exact, const Got& got) {
    if (exact.cols() == 1) {
      angle += one_minus_cosine(exact.col(0), got.col(0));
    } else {
      for (index_type r = 0; r < exact.rows(); ++r) {
        angle += one_minus_cosine(exact.row(r), got.row(r));
      }
    }
  }
  void merge(const output_error& o) {
    squared += o.squared;
    weighted += o.weighted;
    angle += o.angle;
    gradients += o.gradients;
    samples += o.samples;
  }

  bool has_gradients() const { return gradients > 0; }
  double of(output_metric m) const {
    return m == output_metric::hessian ? weighted : m == output_metric::cosine ? angle : squared;
  }

 private:
  template <class A, class B>
  static double one_minus_cosine(const A& a, const B& b) {
    const double aa = a.template cast<double>().squaredNorm();
    const double bb = b.template cast<double>().squaredNorm();
    if (!(aa > 0) || !(bb > 0)) return aa == bb ? 0 : 1;
    return 1 - a.template cast<double>().dot(b.template cast<double>()) / std::sqrt(aa * bb);
  }
};

// Squared errors of each column, as they are and times the gradient. Sums of one sample, in float.
struct column_errors {
  std::vector<float> squared, weighted;

  explicit column_errors(index_type columns)
      : squared(static_cast<std::size_t>(columns)), weighted(squared) {}
  using matrix = output_error::matrix;
  void set(const matrix& exact, const matrix& y, const matrix& gradient) {
    const index_type columns = exact.cols();
    std::fill(squared.begin(), squared.end(), 0.f);
    std::fill(weighted.begin(), weighted.end(), 0.f);
    float *const plain = squared.data(), *const guided = weighted.data();
    for (index_type r = 0; r < exact.rows(); ++r) {
      const float *const a = &exact(r, 0), *const b = &y(r, 0);
      const float* const g = gradient.size() > 0 ? &gradient(r, 0) : nullptr;
      for (index_type c = 0; c < columns; ++c) plain[c] += (b[c] - a[c]) * (b[c] - a[c]);
      for (index_type c = 0; g != nullptr && c < columns; ++c) {
        const float e = (b[c] - a[c]) * g[c];
        guided[c] += e * e;
      }
    }
  }
};

// Of each column; none of an empty matrix.
inline std::vector<double> squares_of_columns(const output_error::matrix& gradient) {
  std::vector<double> sums(static_cast<std::size_t>(gradient.cols()));
  for (index_type r = 0; r < gradient.rows(); ++r) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      const double g = gradient(r, static_cast<index_type>(c));
      sums[c] += g * g;
    }
  }
  return sums;
}

}  // namespace vq::inline v1

#endif
