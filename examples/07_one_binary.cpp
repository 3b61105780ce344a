// One program for every CPU: compiled for the baseline, it runs each operation with the widest
// instructions of the machine that it meets.
//
//   build/release/bin/07_one_binary
//   VQ_ISA=avx2 build/release/bin/07_one_binary       # the codes are the same
#include <cmath>
#include <cstdio>
#include <vector>

#include <vq/dispatch.hpp>
#include <vq/quant.hpp>

int main() {
  std::vector<float> x(100'000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i) * 0.01f);
  const vq::tensor_view<const float, 1> view{x.data(), {std::ssize(x)}};
  const vq::quantizer<vq::uniform<8>> q;
  vq::affine_param param[1];
  std::vector<std::int8_t> codes(x.size()), expected(x.size());

  // [dispatch]
  // link vq::dispatch; no -march, no xsimd, nothing but another first argument
  if (vq::fit(vq::dispatch, q, view, param) != vq::status::ok) return 1;
  if (vq::quantize(vq::dispatch, q, view, param, codes) != vq::status::ok) return 1;
  std::printf("%zu codes by %s\n", codes.size(), vq::dispatched_isa());
  // [/dispatch]

  if (vq::quantize(q, view, param, expected) != vq::status::ok) return 1;
  return codes == expected ? 0 : 1;
}
