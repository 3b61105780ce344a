// The formats that a recipe can name, behind functions: what has to be compiled once for every
// format stands in weight_menu_write.cpp and weight_menu_read.cpp and nowhere else.
//
// A weight is stored in the library's own layout (io/quantized_checkpoint.hpp).
#ifndef TOOL_WEIGHT_MENU_HPP
#define TOOL_WEIGHT_MENU_HPP

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/tensor_info.hpp>

#include "conversion.hpp"

namespace tool {

// The tensors that a weight becomes; none where the menu has no such format.
std::vector<vq::tensor_info> menu_tensors(const std::string& format, const vq::tensor_info& weight);

// `values` are those of `weight`. Errors: not_found, not_finite, those of write.
std::optional<vq::failure> write_in_menu_format(const std::string& format,
                                                const vq::tensor_info& weight,
                                                std::span<const float> values,
                                                const write_bytes& write);

// Values [first, first + out.size()) of a weight; the checkpoint must outlive it.
using load_values = std::function<vq::status(index_type first, std::span<float> out)>;

// Errors: not_found (a format that the menu has not), what is wrong with the weight.
vq::result<load_values, vq::failure> open_menu_format(const vq::checkpoint& model,
                                                      const std::string& weight);

}  // namespace tool

#endif
