// How the range of an activation is found, by name.
#ifndef ENGINE_ESTIMATOR_HPP
#define ENGINE_ESTIMATOR_HPP

#include <array>
#include <cstddef>
#include <string_view>

namespace engine {

enum class estimator { minmax, moving_average, percentile, mse, entropy, torch_l2 };

inline constexpr std::array all_estimators{estimator::minmax,     estimator::moving_average,
                                           estimator::percentile, estimator::mse,
                                           estimator::entropy,    estimator::torch_l2};

constexpr std::string_view name_of(estimator e) {
  constexpr std::array names{"minmax", "moving-average", "percentile",
                             "mse",    "entropy",        "torch-l2"};
  return names[static_cast<std::size_t>(e)];
}

}  // namespace engine

#endif
