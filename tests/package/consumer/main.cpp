// Quantizes two rows of a matrix. Every value is a multiple of its row's scale, so the codes are
// plain.
#include <cstdint>

#include <vq/quant.hpp>

#ifdef CONSUMER_WITH_json
#include <vq/io.hpp>
#endif
#ifdef CONSUMER_WITH_dispatch
#include <vq/dispatch.hpp>
#endif

int main() {
  const float weights[] = {127.f, -64.f, 3.f, 0.f, 12.7f, -6.4f, 0.3f, 0.f};
  const vq::tensor_view<const float, 2> view{weights, {2, 4}};
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;

  vq::affine_param params[2];
  std::int8_t codes[8];
  if (vq::fit(q, view, params) != vq::status::ok) return 1;
  if (vq::quantize(q, view, params, codes) != vq::status::ok) return 2;
  const std::int8_t expected[] = {127, -64, 3, 0, 127, -64, 3, 0};
  for (int i = 0; i < 8; ++i) {
    if (codes[i] != expected[i]) return 3;
  }
#ifdef CONSUMER_WITH_dispatch
  std::int8_t wide[8];
  if (vq::quantize(vq::dispatch, q, view, params, wide) != vq::status::ok) return 4;
  for (int i = 0; i < 8; ++i) {
    if (wide[i] != expected[i]) return 5;
  }
#endif
  return 0;
}
