// The number formats of this engine's quantized networks.
//
// Weights are symmetric and narrow (8 bits: -127..127), activations asymmetric and unsigned (8
// bits: 0..255). With fewer bits the codes still travel as bytes through the integer kernels.
#ifndef ENGINE_FORMAT_HPP
#define ENGINE_FORMAT_HPP

#include <cstdint>

#include <vq/quant.hpp>

#include "engine/tensor.hpp"

namespace engine {

using weight_code = std::int8_t;
using activation_code = std::uint8_t;

template <int Bits>
using weight_policy = vq::uniform<Bits>;
template <int Bits>
using activation_policy = vq::uniform<Bits, vq::asymmetric, vq::full, vq::unsigned_codes>;

// One code per byte whatever the bits.
template <vq::quantizer_policy Policy, vq::granularity Granularity>
using bytewise = vq::quantizer<Policy, Granularity, vq::stored_as<vq::bytes>>;

template <template <int> class Policy, vq::granularity Granularity>
using formats = vq::menu<bytewise<Policy<8>, Granularity>, bytewise<Policy<6>, Granularity>,
                         bytewise<Policy<4>, Granularity>>;

// Calls f(quantizer) with the format of 8, 6 or 4 bits: from a number to a type.
template <class F>
void visit_weight_format(int bits, F f) {
  formats<weight_policy, vq::per_channel<0>>::visit(bits == 8 ? 0 : bits == 6 ? 1 : 2, f);
}
template <class F>
void visit_activation_format(int bits, F f) {
  formats<activation_policy, vq::per_tensor>::visit(bits == 8 ? 0 : bits == 6 ? 1 : 2, f);
}

inline vq::code_limits activation_limits(int bits) {
  vq::code_limits limits;
  visit_activation_format(bits, [&](auto q) { limits = q.policy.limits; });
  return limits;
}

}  // namespace engine

#endif
