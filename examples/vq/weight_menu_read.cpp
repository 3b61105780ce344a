#include <memory>
#include <utility>

#include <vq/io/quantized_weight_view.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/simd.hpp>

#include "weight_menu.hpp"

namespace tool {

vq::result<load_values, vq::failure> open_menu_format(const vq::checkpoint& model,
                                                      const std::string& weight) {
  const auto description = vq::find_description(model, weight);
  if (!description) return description.error();
  std::optional<vq::failure> wrong;
  load_values load;
  const bool known = vq::visit_format<vq::weight_formats>(description->format, [&]<class Q>(Q) {
    auto view = vq::find_quantized<Q>(model, weight);
    if (!view) {
      wrong.emplace(view.error());
      return;
    }
    load = [kept = std::make_shared<vq::quantized_weight_view<Q>>(*std::move(view))](
               index_type first, std::span<float> out) {
      return vq::load_floats(vq::simd::native, *kept, first, out);
    };
  });
  if (wrong) return *std::move(wrong);
  if (!known) {
    return vq::failure{
        vq::status::not_found,
        vq::sentence(model.name(), ": tensor ", vq::in_quotes(weight), ": is stored in the format ",
                     vq::in_quotes(description->format), ", which this program does not know")};
  }
  return load;
}

}  // namespace tool
