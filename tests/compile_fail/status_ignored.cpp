// expect: nodiscard
#include <vq/quant.hpp>

#pragma GCC diagnostic error "-Wunused-result"

void careless(vq::tensor_view<const float, 1> x, vq::affine_param (&params)[1]) {
  vq::fit(vq::quantizer<vq::uniform<8>>{}, x, params);
}
