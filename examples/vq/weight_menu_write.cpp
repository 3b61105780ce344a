#include <utility>

#include <vq/io/quantized_weight.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/simd.hpp>

#include "weight_menu.hpp"

namespace tool {

std::vector<vq::tensor_info> menu_tensors(const std::string& format,
                                          const vq::tensor_info& weight) {
  std::vector<vq::tensor_info> tensors;
  vq::visit_format<vq::weight_formats>(format, [&]<class Q>(Q) {
    tensors = vq::tensors_of<Q>(weight.name, format, weight.shape, weight.type);
  });
  return tensors;
}

std::optional<vq::failure> write_in_menu_format(const std::string& format,
                                                const vq::tensor_info& weight,
                                                std::span<const float> values,
                                                const write_bytes& write) {
  std::optional<vq::failure> wrong;
  const auto write_part = [&](const vq::tensor_info& tensor, std::span<const std::byte> bytes) {
    if (wrong) return;
    if (auto error = write(tensor.name, bytes)) wrong.emplace(*std::move(error));
  };
  const bool known = vq::visit_format<vq::weight_formats>(format, [&](auto q) {
    const auto quantized = vq::quantize_weight(vq::simd::native, q, format, values, weight.shape,
                                               weight.type, weight.name);
    if (!quantized) {
      wrong.emplace(quantized.error());
      return;
    }
    vq::for_each_tensor(weight.name, *quantized, write_part);
  });
  if (!known) {
    wrong.emplace(vq::failure{vq::status::not_found,
                              vq::sentence("tensor ", vq::in_quotes(weight.name),
                                           ": there is no format ", vq::in_quotes(format))});
  }
  return wrong;
}

}  // namespace tool
