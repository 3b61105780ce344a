#include "engine/sensitivity/simulated_weight.hpp"

namespace engine {

vq::status simulate_weight(std::string_view format, weight_view weight) {
  return simulate_weight<vq::weight_formats>(format, weight);
}

}  // namespace engine
