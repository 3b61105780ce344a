// vq dequantize: a quantized checkpoint back to 16 or 32 bits, for programs that know no other.
#ifndef TOOL_DEQUANTIZE_HPP
#define TOOL_DEQUANTIZE_HPP

#include <optional>
#include <string>

#include <vq/io/dtype.hpp>

#include "conversion.hpp"

namespace tool {

struct dequantize_options {
  std::string source, destination;
  std::optional<vq::dtype> type;  // of all floats; nothing: what each weight was before
  conversion_options how;
};

// Errors: bad_argument (nothing is quantized), what is wrong with a weight, those of convert().
outcome dequantize(const dequantize_options& options, const context& c);

}  // namespace tool

#endif
