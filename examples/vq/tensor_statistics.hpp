// What a tensor's values say about how well it can be quantized.
//
//   const tensor_statistics s = statistics_of(type, shape, bytes);
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
#include <span>
#include <vector>

#include "floats.hpp"

namespace tool {

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

// Sums of powers of x - shift, and the largest magnitude. Eight of each, which a compiler turns
// into registers.
struct power_sums {
  static constexpr std::size_t lanes = 8;
  double first[lanes] = {}, second[lanes] = {}, third[lanes] = {}, fourth[lanes] = {};
  float absmax[lanes] = {};
  float probe[lanes] = {};  // stays 0 while everything is finite

  void add(const float* x, std::size_t count) {
    for (std::size_t i = 0; i + lanes <= count; i += lanes) {
      for (std::size_t k = 0; k < lanes; ++k) add_one(x[i + k], k);
    }
    for (std::size_t i = count / lanes * lanes; i < count; ++i) add_one(x[i], i % lanes);
  }
  void add_one(float x, std::size_t k) {
    const double v = double{x}, square = v * v;
    first[k] += v;
    second[k] += square;
    third[k] += square * v;
    fourth[k] += square * square;
    const float magnitude = std::fabs(x);
    absmax[k] = magnitude > absmax[k] ? magnitude : absmax[k];
    probe[k] += x - x;
  }
  bool finite() const {
    return std::all_of(probe, probe + lanes, [](float p) { return p == 0; });
  }
  static double total(const double (&sums)[lanes]) {
    double all = 0;
    for (const double s : sums) all += s;
    return all;
  }
};

}  // namespace detail

inline tensor_statistics statistics_of(vq::dtype type, std::span<const index_type> shape,
                                       std::span<const std::byte> bytes) {
  tensor_statistics found;
  index_type size = 1;
  for (const index_type extent : shape) size *= extent;
  found.values = size;
  if (size == 0) return found;
  found.rows = shape.size() > 1 ? shape[0] : 1;
  const index_type length = size / found.rows;

  detail::power_sums sums;
  std::vector<float> finite_values;
  std::vector<float> row_absmax;
  row_absmax.reserve(static_cast<std::size_t>(found.rows));
  for (index_type row = 0; row < found.rows; ++row) {
    float row_most = 0;
    for_each_floats(
        type, bytes, row * length, length, [&](index_type, std::span<const float> values) {
          detail::power_sums part;
          part.add(values.data(), values.size());
          if (!part.finite()) {
            finite_values.clear();
            for (const float v : values) {
              if (std::isfinite(v)) finite_values.push_back(v);
            }
            found.not_finite += static_cast<index_type>(values.size() - finite_values.size());
            part = {};
            part.add(finite_values.data(), finite_values.size());
          }
          for (std::size_t k = 0; k < detail::power_sums::lanes; ++k) {
            sums.first[k] += part.first[k];
            sums.second[k] += part.second[k];
            sums.third[k] += part.third[k];
            sums.fourth[k] += part.fourth[k];
            row_most = std::max(row_most, part.absmax[k]);
          }
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

  const index_type finite = size - found.not_finite;
  if (finite == 0) return found;
  const auto n = static_cast<double>(finite);
  const double m1 = sums.total(sums.first) / n, m2 = sums.total(sums.second) / n,
               m3 = sums.total(sums.third) / n, m4 = sums.total(sums.fourth) / n;
  const double variance = std::max(m2 - m1 * m1, 0.);
  found.mean = m1;
  found.deviation = std::sqrt(variance);
  // Below this the moments about zero cancel to nothing: a constant.
  if (variance <= 1e-12 * m2) return found;
  found.excess_kurtosis =
      (m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1 * m1 * m1 * m1) / (variance * variance) - 3;
  const auto low = static_cast<float>(m1 - 6 * found.deviation),
             high = static_cast<float>(m1 + 6 * found.deviation);
  index_type outside = 0;
  for_each_floats(type, bytes, 0, size, [&](index_type, std::span<const float> values) {
    for (const float v : values) outside += (v < low || v > high) && std::isfinite(v);
  });
  found.beyond_6_sigma = static_cast<double>(outside) / n;
  return found;
}

}  // namespace tool

#endif
