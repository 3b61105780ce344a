// What a tensor's values say about how well it can be quantized.
//
//   const tensor_statistics s = statistics_of(tensor);
//   s.row_max_to_median     // one scale per tensor wastes log2 of this many bits in the median row
//   s.beyond_6_sigma        // share of values further from the mean than 6 standard deviations
//
// Rows are runs along all axes but the first: the output channels of a linear layer or a
// convolution. Values that are not finite are counted and left out of everything else. Two passes
// over the tensor, no copy of it.
#ifndef TOOL_TENSOR_STATISTICS_HPP
#define TOOL_TENSOR_STATISTICS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <vector>

#include <vq/io/stored_floats.hpp>
#include <vq/simd.hpp>

namespace tool {

using vq::index_type;

struct tensor_statistics {
  index_type values = 0;
  index_type not_finite = 0;
  float absmax = 0;
  double mean = 0;
  double deviation = 0;
  double excess_kurtosis = 0;  // 0 for a normal distribution
  double beyond_6_sigma = 0;   // 2e-9 for a normal distribution

  // Of the largest magnitudes of the rows; rows of zeros are counted and left out. 1 for a vector.
  index_type rows = 0;
  index_type zero_rows = 0;
  double row_max_to_median = 1;
  double row_max_to_min = 1;
};

namespace detail {

// Sums of powers, and the largest magnitude. Eight of each, which a compiler turns into registers.
class power_sums {
 public:
  void add(std::span<const float> values) {
    const std::size_t whole = values.size() / lanes * lanes;
    for (std::size_t i = 0; i < whole; i += lanes) {
      for (std::size_t k = 0; k < lanes; ++k) add_one(values[i + k], k);
    }
    for (std::size_t i = whole; i < values.size(); ++i) add_one(values[i], i - whole);
  }
  void merge(const power_sums& other) {
    for (std::size_t k = 0; k < lanes; ++k) {
      for (std::size_t p = 0; p < 4; ++p) power_[p][k] += other.power_[p][k];
      absmax_[k] = std::max(absmax_[k], other.absmax_[k]);
    }
  }
  bool finite() const {
    return std::all_of(probe_, probe_ + lanes, [](float p) { return p == 0; });
  }
  double first() const { return total(power_[0]); }
  double second() const { return total(power_[1]); }
  double third() const { return total(power_[2]); }
  double fourth() const { return total(power_[3]); }
  float largest() const { return *std::max_element(absmax_, absmax_ + lanes); }

 private:
  static constexpr std::size_t lanes = 8;

  void add_one(float x, std::size_t k) {
    const double v = double{x}, square = v * v;
    power_[0][k] += v;
    power_[1][k] += square;
    power_[2][k] += square * v;
    power_[3][k] += square * square;
    const float magnitude = std::fabs(x);
    absmax_[k] = magnitude > absmax_[k] ? magnitude : absmax_[k];
    probe_[k] += x - x;
  }
  static double total(const double (&sums)[lanes]) {
    double all = 0;
    for (const double s : sums) all += s;
    return all;
  }

  double power_[4][lanes] = {};
  float absmax_[lanes] = {};
  float probe_[lanes] = {};  // stays 0 while everything is finite
};

// f(values) over [begin, begin + count), in pieces that stay in the cache.
template <class F>
void for_each_floats(const vq::tensor_entry& tensor, index_type begin, index_type count, F f) {
  constexpr index_type piece = 4096;
  float buffer[piece];
  for (index_type at = 0; at < count; at += piece) {
    const std::span values(buffer, static_cast<std::size_t>(std::min(piece, count - at)));
    static_cast<void>(vq::load_floats(vq::simd::native, tensor, begin + at, values));
    f(std::span<const float>(values));
  }
}

}  // namespace detail

// Of a tensor that holds_floats.
inline tensor_statistics statistics_of(const vq::tensor_entry& tensor) {
  tensor_statistics found;
  const index_type size = tensor.size();
  found.values = size;
  if (size == 0) return found;
  found.rows = tensor.shape.size() > 1 ? tensor.shape[0] : 1;
  const index_type length = size / found.rows;

  detail::power_sums sums;
  std::vector<float> finite_values;
  std::vector<float> row_absmax;
  row_absmax.reserve(static_cast<std::size_t>(found.rows));
  for (index_type row = 0; row < found.rows; ++row) {
    float row_most = 0;
    detail::for_each_floats(tensor, row * length, length, [&](std::span<const float> values) {
      detail::power_sums part;
      part.add(values);
      if (!part.finite()) {
        finite_values.clear();
        std::copy_if(values.begin(), values.end(), std::back_inserter(finite_values),
                     [](float v) { return std::isfinite(v); });
        found.not_finite += static_cast<index_type>(values.size() - finite_values.size());
        part = {};
        part.add(finite_values);
      }
      sums.merge(part);
      row_most = std::max(row_most, part.largest());
    });
    found.absmax = std::max(found.absmax, row_most);
    if (row_most > 0) row_absmax.push_back(row_most);
  }
  found.zero_rows = found.rows - static_cast<index_type>(row_absmax.size());
  if (!row_absmax.empty()) {
    const auto middle = row_absmax.begin() + static_cast<std::ptrdiff_t>(row_absmax.size() / 2);
    std::nth_element(row_absmax.begin(), middle, row_absmax.end());
    found.row_max_to_median = double{found.absmax} / double{*middle};
    found.row_max_to_min =
        double{found.absmax} / double{*std::min_element(row_absmax.begin(), row_absmax.end())};
  }

  if (found.not_finite == size) return found;
  const auto n = static_cast<double>(size - found.not_finite);
  const double m1 = sums.first() / n, m2 = sums.second() / n, m3 = sums.third() / n,
               m4 = sums.fourth() / n;
  const double variance = std::max(m2 - m1 * m1, 0.);
  found.mean = m1;
  found.deviation = std::sqrt(variance);
  // Below this the moments about zero cancel to nothing: a constant.
  if (variance <= 1e-12 * m2) return found;
  found.excess_kurtosis =
      (m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1 * m1 * m1 * m1) / (variance * variance) - 3;
  const auto low = static_cast<float>(m1 - 6 * found.deviation),
             high = static_cast<float>(m1 + 6 * found.deviation);
  if (found.absmax <= std::min(-low, high)) return found;  // nothing lies outside
  index_type outside = 0;
  detail::for_each_floats(tensor, 0, size, [&](std::span<const float> values) {
    for (const float v : values) outside += (v < low || v > high) && std::isfinite(v);
  });
  found.beyond_6_sigma = static_cast<double>(outside) / n;
  return found;
}

}  // namespace tool

#endif
