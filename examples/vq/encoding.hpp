// A tensor in the format that a recipe gives it, as a container stores it.
//
// Kept tensors are copied byte for byte, f16, bf16 and f32 converted, quantized ones become
// several: of bitsandbytes (io/bitsandbytes.hpp) or of our own layout. A container that cannot hold a
// format says so before anything is written.
#ifndef TOOL_ENCODING_HPP
#define TOOL_ENCODING_HPP

#include <optional>
#include <string_view>

#include <vq/core/result.hpp>
#include <vq/io/bitsandbytes.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/io/failure.hpp>

#include "conversion.hpp"
#include "weight_menu.hpp"

namespace tool {

enum class container { bitsandbytes, vq };

// "nf4-block64-dq256", "fp4-block128"; nothing for other formats.
std::optional<vq::four_bit_format> four_bit_format_of(std::string_view format);

// Errors: bad_argument (the container cannot hold the format).
vq::result<conversion_item, vq::failure> item_of(const vq::checkpoint_tensor& source,
                                                 std::string_view format, container to);

// Writes the values that `load` lends as `type`, a piece at a time. Errors: those of load and write.
std::optional<vq::failure> write_floats(const vq::tensor_info& tensor, vq::dtype type,
                                        const load_values& load, const write_bytes& write);

// conversion::make for such items. Errors: not_finite, those of the writer.
std::optional<vq::failure> encode(const conversion_item& item, container to,
                                  const write_bytes& write);

}  // namespace tool

#endif
