// What can stand in for a measured sensitivity (proxy_subject.hpp), by its name on the command line.
#ifndef ENGINE_SENSITIVITY_PROXY_HPP
#define ENGINE_SENSITIVITY_PROXY_HPP

#include <array>
#include <cstdint>

namespace engine {

enum class proxy : std::uint8_t { output_sqnr, output_fisher, fisher, second_order };

inline constexpr std::array<const char*, 4> proxy_names{"output-sqnr", "output-fisher", "fisher",
                                                        "second-order"};

constexpr const char* describe(proxy p) noexcept {
  switch (p) {
    case proxy::output_sqnr:
      return "estimate: noise to signal of the layer's outputs (1 / SQNR)";
    case proxy::output_fisher:
      return "estimate of the KL: squared errors of outputs times their squared gradients";
    case proxy::fisher:
      return "estimate of the KL: squared errors of weights times their squared gradients";
    case proxy::second_order:
      return "estimate of the KL: squared error of the weights times their mean curvature";
  }
  return "unknown";
}

}  // namespace engine

#endif
