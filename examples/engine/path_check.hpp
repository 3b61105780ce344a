// Compares the integer network with its simulation in floats, code by code.
//
// Layer by layer: the simulation computes each layer from exactly the codes that the integer
// network computed before it, so differences do not add up and each layer is judged alone. They
// come from sums that lie within float rounding of the border between two codes.
// End to end: both run on their own; compared are the logits and the best class.
#ifndef ENGINE_PATH_CHECK_HPP
#define ENGINE_PATH_CHECK_HPP

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <vector>

#include <vq/analyze/classification.hpp>

#include "engine/fake_quantization.hpp"
#include "engine/image_set.hpp"
#include "engine/integer_network.hpp"

namespace engine {

struct path_difference {
  index_type images = 0;
  index_type codes = 0;  // compared layer by layer
  index_type different_codes = 0;
  int largest_code_difference = 0;
  float largest_logit = 0;
  float same_input_logit_difference = 0;  // of the last layer from the same codes
  float logit_difference = 0;             // end to end
  index_type same_class = 0;              // end to end
};

template <class Simulation = fake_quantized_network, class IntegerNetwork>
path_difference compare_paths(const quantized_graph& q, const IntegerNetwork& integer,
                              const image_set& images, index_type count) {
  const Simulation simulated(q);
  auto integer_memory = integer.workspace();
  auto memory = simulated.workspace();
  path_difference d;
  d.images = std::min(count, images.size());
  std::vector<std::vector<activation_code>> codes(q.network.nodes.size());

  const auto largest_difference = [](std::span<const float> a, std::span<const float> b) {
    float most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    return most;
  };
  for (index_type i = 0; i < d.images; ++i) {
    const std::vector<float> image = images.read(i);
    const auto logits =
        integer.run(image, integer_memory, [&](index_type n, std::span<const activation_code> c) {
          codes[at(n)].assign(c.begin(), c.end());
        });
    for (const float logit : logits) d.largest_logit = std::max(d.largest_logit, std::fabs(logit));

    const auto layerwise = simulated.run(image, memory, [&](index_type n, std::span<float> out) {
      if (!q.outputs[at(n)]) return;
      std::visit(
          [&]<class Policy>(const coded<Policy>& format) {
            constexpr Policy policy;
            const auto value = values_of_codes(format);
            for (std::size_t k = 0; k < out.size(); ++k) {
              const int expected = codes[at(n)][k];
              // Twin formats have two codes for zero: what codes stand for is compared.
              if (value[at(expected)] == out[k]) continue;
              const int code = static_cast<int>(policy.encode(out[k], format.param));
              ++d.different_codes;
              d.largest_code_difference =
                  std::max(d.largest_code_difference, std::abs(code - expected));
              out[k] = value[at(expected)];
            }
          },
          *q.outputs[at(n)]);
      d.codes += std::ssize(out);
    });
    d.same_input_logit_difference =
        std::max(d.same_input_logit_difference, largest_difference(logits, layerwise));

    const auto alone = simulated.run(image, memory);
    d.logit_difference = std::max(d.logit_difference, largest_difference(logits, alone));
    d.same_class += vq::argmax(logits) == vq::argmax(alone) ? 1 : 0;
  }
  return d;
}

}  // namespace engine

#endif
