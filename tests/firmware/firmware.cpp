// What a program without operating system does with the library: finds the parameters of a weight,
// quantizes it and takes it back. Every byte is static; see check.py for how it is built.
#include <cstdint>

#include <vq/quant.hpp>

namespace {

constexpr vq::index_type outputs = 16;
constexpr vq::index_type inputs = 36;

constexpr vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
constexpr vq::quantizer<vq::uniform<4>, vq::per_group<12>> q4;

float weights[outputs * inputs];
float restored[outputs * inputs];

vq::affine_param params[q.required(vq::shape_type<2>{outputs, inputs}).params];
std::int8_t codes[q.required(vq::shape_type<2>{outputs, inputs}).codes];
vq::affine_param params4[q4.required(vq::shape_type<2>{outputs, inputs}).params];
decltype(q4)::stored_type codes4[q4.required(vq::shape_type<2>{outputs, inputs}).codes];

// Round trip through one quantizer; 0 is success.
template <class Q, class Params, class Codes>
int round_trip(const Q& quantizer, Params& param, Codes& code) {
  const vq::tensor_view<const float, 2> w{weights, {outputs, inputs}};
  const vq::tensor_view<float, 2> back{restored, {outputs, inputs}};
  if (auto s = vq::fit(quantizer, w, param); s != vq::status::ok) return static_cast<int>(s);
  if (auto s = vq::quantize(quantizer, w, param, code); s != vq::status::ok) {
    return static_cast<int>(s);
  }
  return static_cast<int>(vq::dequantize(quantizer, code, param, back));
}

}  // namespace

volatile int sink;

extern "C" [[noreturn]] void _start() {
  // A source that the compiler cannot see through, as an ADC would be.
  for (float& w : weights) w = static_cast<float>(sink) * 0.01f;
  sink = round_trip(q, params, codes) + round_trip(q4, params4, codes4);
  for (;;) {
  }
}
