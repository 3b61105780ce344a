// vq verify: how far a quantized checkpoint is from its source, tensor by tensor.
//
// Every weight of the source must be in the other one, with the same shape; what is stored in the
// same type must be the same byte for byte; what was quantized or converted is compared as floats.
#ifndef TOOL_VERIFY_HPP
#define TOOL_VERIFY_HPP

#include <string>

#include "command.hpp"
#include "stored_model.hpp"

namespace tool {

struct verify_options {
  std::string source, quantized;
  double min_sqnr = 0;    // dB; a weight that is worse is a difference
  index_type block = 64;  // the worst run of so many values is looked for
  int worst = 10;         // rows of the table
  int jobs = 1;
};

// Code `differs` where the checkpoints do not agree.
outcome verify(const verify_options& options, const context& c);

}  // namespace tool

#endif
