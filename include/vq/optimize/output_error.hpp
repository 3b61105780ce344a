// How far a layer's output is off, by three measures, summed over samples (product_search.hpp).
#ifndef VQ_OPTIMIZE_OUTPUT_ERROR_HPP
#define VQ_OPTIMIZE_OUTPUT_ERROR_HPP

#include <cmath>
#include <cstdint>

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

  // Without gradients `gradient` is empty. Computes what `metric` needs, and the squared error.
  template <class Exact, class Got>
  void add(output_metric metric, const Exact& exact, const Got& got, const matrix& gradient) {
    ++samples;
    squared += (got - exact).template cast<double>().squaredNorm();
    if (metric == output_metric::hessian && gradient.size() > 0) {
      weighted += (got - exact).cwiseProduct(gradient).template cast<double>().squaredNorm();
      gradients += gradient.template cast<double>().squaredNorm();
    }
    if (metric == output_metric::cosine) {
      if (exact.cols() == 1) {
        angle += one_minus_cosine(exact.col(0), got.col(0));
      } else {
        for (index_type r = 0; r < exact.rows(); ++r) {
          angle += one_minus_cosine(exact.row(r), got.row(r));
        }
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
  // 0 where both are zeros, 1 where one of them is.
  template <class A, class B>
  static double one_minus_cosine(const A& a, const B& b) {
    const double aa = a.template cast<double>().squaredNorm();
    const double bb = b.template cast<double>().squaredNorm();
    if (!(aa > 0) || !(bb > 0)) return aa == bb ? 0 : 1;
    return 1 - a.template cast<double>().dot(b.template cast<double>()) / std::sqrt(aa * bb);
  }
};

}  // namespace vq::inline v1

#endif
