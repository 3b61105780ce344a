// Parameters of both operands of a product, chosen by the error of the product (PTQ4ViT's search).
//
//   Y = L R^T + b,   L: (rows, inner),  R: (columns, inner)
//   Y is a linear layer (L its inputs, R its weight), scores (L = Q, R = K), or a context (L =
//   probabilities, R = V transposed: a view with strides)
//
//   squared_error   sum (Y^ - Y)^2
//   hessian         sum (g (Y^ - Y))^2, g = dLoss/dY: squared Fisher diagonal, the loss to 2nd order
//   cosine          sum over rows of 1 - cos(Y^, Y)
//
// One operand moves at a time: every candidate of it is scored with the other as it stands, then
// the best becomes its parameters. Each group of an operand (a head, a block of rows, an output
// channel) has candidates of its own.
//
//   auto x = *searched(policy, one_range, search_space{});     // candidates: 1 % to 120 % of a range
//   auto w = *searched(policy, range_of_each_row, search_space{});
//   product_search search(x, w, output_metric::hessian);
//   for (round...) for (operand moving : {operand::right, operand::left}) {
//     search.begin(moving);
//     for (image...) search.add({.left = x, .right = w, .gradient = g});   // in any number of shards
//     search.choose();
//   }
//
// Any policy; where it offers candidates() these are tried, else shrunk and widened ranges. Memory:
// one number per candidate and group, besides one sample: the images are played back, not kept.
// Measured, one layer of the bundled vision transformer at 4 bits, 24 images, KL of the answers on
// others: the first MLP layer 0.0103 by min-max, 0.0004 by either metric; the second, 0.0150 by
// min-max, gets worse by both (0.042, 0.049): the error of one output is not that of the network.
// Squared gradients were no better than squared errors there. So compare on the answers.
// Without gradients `hessian` compares by squared error, and metric_used() and note() say so. A cost
// of one product per candidate and sample; the paper finds 20 candidates nearly as good as 100, one
// round nearly as good as three, and 32 images enough.
// Source: Yuan et al. 2022 (PTQ4ViT, arXiv 2111.12293, section 3.2 and algorithm 1). Its layers see
// float inputs, so those of a whole network may be searched side by side.
#ifndef VQ_OPTIMIZE_PRODUCT_SEARCH_HPP
#define VQ_OPTIMIZE_PRODUCT_SEARCH_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/optimize/output_error.hpp>
#include <vq/optimize/searched_operand.hpp>
#include <vq/quantizer/fake_quantize.hpp>

namespace vq::inline v1 {

enum class operand : std::uint8_t { left, right };

struct product_sample {
  tensor_view<const float, 2> left;
  tensor_view<const float, 2> right;
  std::span<const float> bias = {};      // one per column, or none; matters to the cosine
  std::span<const float> gradient = {};  // (rows, columns), or none
  index_type left_group = 0;             // whose parameters the left operand has
  index_type right_group = 0;            // and the first rows of the right one
  index_type rows_per_group = 0;         // of the right operand; 0: all have right_group
};

template <quantizer_policy Left, quantizer_policy Right, execution E = scalar_t>
class product_search {
 public:
  product_search(searched_operand<Left> left, searched_operand<Right> right, output_metric metric)
      : left_(std::move(left)), right_(std::move(right)), metric_(metric) {
    begin(operand::right);
  }

  std::span<const typename Left::param_type> left() const { return left_.params; }
  std::span<const typename Right::param_type> right() const { return right_.params; }

  // Whose candidates the samples to come decide between. Forgets those that were not chosen from.
  void begin(operand moving) {
    moving_ = moving;
    const bool is_left = moving == operand::left;
    const std::size_t groups = is_left ? left_.params.size() : right_.params.size();
    const std::size_t candidates = is_left ? count_of(left_) : count_of(right_);
    errors_.assign(groups, std::vector<output_error>(candidates, output_error{}));
  }

  // On an error nothing is added: size_mismatch (also: groups that the operands do not have),
  // not_finite. A sample without rows or columns adds nothing.
  status add(const product_sample& s) {
    const index_type rows = s.left.extent(0), columns = s.right.extent(0);
    const index_type block = s.rows_per_group > 0 ? s.rows_per_group : columns;
    if (!fits(s, rows, columns, block)) return status::size_mismatch;
    if (rows == 0 || columns == 0) return status::ok;
    const matrix left = read(s.left), right = read(s.right);
    if (!left.allFinite() || !right.allFinite()) return status::not_finite;
    matrix gradient;
    if (!s.gradient.empty()) {
      gradient = Eigen::Map<const matrix>(s.gradient.data(), rows, columns);
      if (!gradient.allFinite()) return status::not_finite;
    }
    const auto product = [&](const matrix& l, const matrix& r, matrix& y) {
      y.noalias() = l * r.transpose();
      if (!s.bias.empty()) y.rowwise() += Eigen::Map<const row>(s.bias.data(), columns);
    };
    matrix exact(rows, columns), y(rows, columns);
    product(left, right, exact);
    column_errors sums(columns);
    const std::vector<double> squared_gradients = squares_of_columns(gradient);
    const auto left_group = static_cast<std::size_t>(s.left_group);
    if (moving_ == operand::left) {
      matrix quantized = right, tried;
      quantize(right_, right_.params, s.right_group, block, quantized);
      const auto& candidates = left_.candidates[left_group];
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        tried = left;
        quantize(left_, std::span(&candidates[i], 1), 0, rows, tried);
        product(tried, quantized, y);
        sums.set(exact, y, gradient);
        add_columns(errors_[left_group][i], sums, squared_gradients, exact, y, 0, columns);
      }
    } else {
      matrix quantized = left, tried;
      quantize(left_, std::span(left_.params).subspan(left_group, 1), 0, rows, quantized);
      std::vector<typename Right::param_type> params(right_.params.size());
      const index_type last = s.right_group + (columns - 1) / block;
      for (std::size_t i = 0; i < count_of(right_); ++i) {
        for (auto g = s.right_group; g <= last; ++g) {
          params[static_cast<std::size_t>(g)] = right_.candidates[static_cast<std::size_t>(g)][i];
        }
        tried = right;
        quantize(right_, params, s.right_group, block, tried);
        product(quantized, tried, y);
        sums.set(exact, y, gradient);
        for (index_type g = s.right_group, c = 0; g <= last; ++g, c += block) {
          add_columns(errors_[static_cast<std::size_t>(g)][i], sums, squared_gradients, exact, y, c,
                      columns - c < block ? columns - c : block);
        }
      }
    }
    return status::ok;
  }

  // The samples of another shard, which stands at the same parameters.
  status merge(const product_search& other) {
    if (other.moving_ != moving_ || other.errors_.size() != errors_.size() ||
        other.errors_[0].size() != errors_[0].size()) {
      return status::size_mismatch;
    }
    for (std::size_t g = 0; g < errors_.size(); ++g) {
      for (std::size_t i = 0; i < errors_[g].size(); ++i) errors_[g][i].merge(other.errors_[g][i]);
    }
    return status::ok;
  }

  // The first candidate of least error takes its place in every group that has seen samples. no_data
  // where none has.
  status choose() {
    bool seen = false;
    used_ = metric_;
    for (std::size_t g = 0; g < errors_.size(); ++g) {
      if (errors_[g].empty() || errors_[g][0].samples == 0) continue;
      seen = true;
      output_metric by = metric_;
      if (by == output_metric::hessian && !errors_[g][0].has_gradients()) {
        used_ = by = output_metric::squared_error;
      }
      std::size_t best = 0;
      for (std::size_t i = 1; i < errors_[g].size(); ++i) {
        if (errors_[g][i].of(by) < errors_[g][best].of(by)) best = i;
      }
      if (moving_ == operand::left) {
        left_.params[g] = left_.candidates[g][best];
      } else {
        right_.params[g] = right_.candidates[g][best];
      }
    }
    return seen ? status::ok : status::no_data;
  }

  // Of a candidate, so far.
  double error(index_type group, index_type candidate) const {
    return errors_[static_cast<std::size_t>(group)][static_cast<std::size_t>(candidate)].of(
        metric_);
  }

  // What the last choice was made by (squared_error where a group had no gradients), and a sentence
  // where that is not what was asked for.
  output_metric metric_used() const { return used_; }
  const char* note() const {
    return used_ == metric_ ? ""
                            : "no output gradients were given, or all were 0: candidates were "
                              "compared by squared error";
  }

 private:
  using matrix = output_error::matrix;
  using row = Eigen::Matrix<float, 1, Eigen::Dynamic>;

  void add_columns(output_error& to, const column_errors& sums,
                   const std::vector<double>& squared_gradients, const matrix& exact,
                   const matrix& y, index_type first, index_type count) const {
    ++to.samples;
    for (auto c = static_cast<std::size_t>(first); c < static_cast<std::size_t>(first + count);
         ++c) {
      to.squared += static_cast<double>(sums.squared[c]);
      if (squared_gradients.empty()) continue;
      to.weighted += static_cast<double>(sums.weighted[c]);
      to.gradients += squared_gradients[c];
    }
    if (metric_ == output_metric::cosine) {
      to.add_angles(exact.middleCols(first, count), y.middleCols(first, count));
    }
  }

  template <class Policy>
  static std::size_t count_of(const searched_operand<Policy>& o) {
    return o.candidates.empty() ? 0 : o.candidates[0].size();
  }
  bool fits(const product_sample& s, index_type rows, index_type columns, index_type block) const {
    const auto groups = static_cast<index_type>(right_.params.size());
    const index_type last = s.right_group + (columns > 0 ? (columns - 1) / block : 0);
    const auto is = [](std::span<const float> values, index_type size) {
      return values.empty() || static_cast<index_type>(values.size()) == size;
    };
    return s.left.extent(1) == s.right.extent(1) && is(s.bias, columns) &&
           is(s.gradient, rows * columns) && s.left_group >= 0 &&
           s.left_group < static_cast<index_type>(left_.params.size()) && s.right_group >= 0 &&
           last < groups;
  }
  static matrix read(const tensor_view<const float, 2>& view) {
    matrix m(view.extent(0), view.extent(1));
    view.read(0, std::span<float>(m.data(), static_cast<std::size_t>(m.size())));
    return m;
  }
  // Rows in place; `block` rows share a parameter, the first ones params[first].
  template <class Policy>
  static void quantize(const searched_operand<Policy>& o,
                       std::span<const typename Policy::param_type> params, index_type first,
                       index_type block, matrix& m) {
    for (index_type r = 0; r < m.rows(); r += block) {
      const index_type count = m.rows() - r < block ? m.rows() - r : block;
      float* const values = m.data() + r * m.cols();
      kernel<fake_quantize_strip<Policy>, E>{}(o.policy,
                                               &params[static_cast<std::size_t>(first + r / block)],
                                               strip{0, count * m.cols(), 1}, values, values);
    }
  }

  searched_operand<Left> left_;
  searched_operand<Right> right_;
  output_metric metric_, used_ = metric_;
  operand moving_ = operand::right;
  std::vector<std::vector<output_error>> errors_;  // of each group, of each candidate
};

}  // namespace vq::inline v1

#endif
