// The request that a linear layer quantizes its float activations to 8 bits in the call, each row of
// them with parameters of its own. dynamic_linear.hpp: int8 weights, rows with a scale and a zero
// point; weight_only.hpp: weights of 4 or 8 bits with scales of blocks, symmetric rows.
#ifndef VQ_NN_DYNAMIC_INT8_HPP
#define VQ_NN_DYNAMIC_INT8_HPP

namespace vq::inline v1 {

struct dynamic_int8_t {};
inline constexpr dynamic_int8_t dynamic_int8{};

}  // namespace vq::inline v1

#endif
