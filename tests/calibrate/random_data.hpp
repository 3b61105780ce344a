// Data for the tests of calibration.
#ifndef VQ_TESTS_CALIBRATE_RANDOM_DATA_HPP
#define VQ_TESTS_CALIBRATE_RANDOM_DATA_HPP

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include <vq/core/tensor_view.hpp>

inline vq::tensor_view<const float, 1> view_of(const std::vector<float>& x) {
  return {x.data(), {static_cast<vq::index_type>(x.size())}};
}

// By Box and Muller, so that every standard library gives the same values.
inline std::vector<float> normal_values(std::size_t count, unsigned seed = 1) {
  std::mt19937 bits(seed);
  const auto unit = [&] { return (static_cast<double>(bits()) + 0.5) / 4294967296.0; };
  std::vector<float> x(count);
  for (float& value : x) {
    value = static_cast<float>(std::sqrt(-2 * std::log(unit())) *
                               std::cos(2 * 3.14159265358979 * unit()));
  }
  return x;
}

inline std::vector<float> uniform_values(std::size_t count, float lowest, float highest,
                                         unsigned seed = 1) {
  std::mt19937 bits(seed);
  std::vector<float> x(count);
  for (float& value : x) {
    value = lowest + (highest - lowest) * static_cast<float>(bits() >> 8) * 0x1p-24f;
  }
  return x;
}

// Magnitudes from 2^-140 to 2^100, both signs, and zeros.
inline std::vector<float> wild_values(std::size_t count, unsigned seed = 1) {
  std::mt19937 bits(seed);
  std::vector<float> x(count);
  for (float& value : x) {
    const auto exponent = static_cast<int>(bits() % 240) - 140;
    const auto mantissa = 1 + static_cast<float>(bits() >> 8) * 0x1p-24f;
    value = bits() % 8 == 0 ? 0 : std::ldexp(bits() % 2 == 0 ? mantissa : -mantissa, exponent);
  }
  return x;
}

#endif
