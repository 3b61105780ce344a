#include "engine/output_format.hpp"

#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/quantize.hpp>
#include <vq/simd.hpp>

namespace engine {

template <vq::execution E>
vq::status encode(E e, const output_format& format, std::span<const float> values,
                  std::span<activation_code> codes) {
  const vq::tensor_view<const float, 1> x(values.data(), {std::ssize(values)});
  return std::visit(
      [&](const auto& f) {
        using quantizer = typename std::decay_t<decltype(f)>::quantizer_type;
        return vq::quantize(e, quantizer{}, x, f.params(), codes);
      },
      format);
}
template vq::status encode(vq::scalar_t, const output_format&, std::span<const float>,
                           std::span<activation_code>);
template vq::status encode(vq::simd::native_t, const output_format&, std::span<const float>,
                           std::span<activation_code>);

vq::status simulate(const output_format& format, std::span<float> values) {
  const vq::tensor_view<float, 1> x(values.data(), {std::ssize(values)});
  return std::visit(
      [&]<class Policy>(const coded<Policy>& f) {
        using quantizer = typename coded<Policy>::quantizer_type;
        if constexpr (std::is_same_v<typename Policy::param_type, vq::adaptive_log_param>) {
          std::vector<activation_code> codes(values.size());
          const vq::status s =
              vq::quantize(vq::simd::native, quantizer{}, x, f.params(), std::span(codes));
          const auto value = values_of_codes(f);
          for (std::size_t i = 0; i < codes.size(); ++i) values[i] = value[codes[i]];
          return s;
        } else {
          return vq::fake_quantize(vq::simd::native, quantizer{}, x, f.params(), x);
        }
      },
      format);
}

}  // namespace engine
