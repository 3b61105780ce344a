#include "engine/simulated_weight.hpp"

#include <vq/core/half.hpp>

namespace engine {

void round_to(std::string_view format, std::span<float> values) {
  const bool to_half = format == "f16", to_bfloat16 = format == "bf16";
  for (float& value : values) {
    if (to_half) value = static_cast<float>(vq::half(value));
    if (to_bfloat16) value = static_cast<float>(vq::bfloat16(value));
  }
}

vq::status simulate_weight(std::string_view format, weight_view weight) {
  return simulate_weight<vq::weight_formats>(format, weight);
}

}  // namespace engine
