// A number format of your own: a policy class, and everything in the library accepts it. This one
// has a power of two for its scale, for targets where a multiplication is dear and a shift is not.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <vq/calibrate.hpp>
#include <vq/simd.hpp>
#include <vq/tensor.hpp>

// [policy]
enum class exponent : int {};  // scale = 2^exponent

struct pow2_int8 {
  static constexpr int bits = 8;
  using code_type = std::int8_t;
  using param_type = exponent;
  constexpr param_type fit(vq::range r) const noexcept {
    int e = -20;
    while (e < 20 && 127 * vq::op::exp2i(float(e)) < r.absmax()) ++e;
    return exponent{e};
  }
  template <class V>  // V is float, or a register of floats
  constexpr V encode(V x, param_type p) const noexcept {
    const V steps = x * V(vq::op::exp2i(-float(p)));
    return vq::op::round_even(vq::op::clamp(steps, V(-127.f), V(127.f)));
  }
  template <class V>
  constexpr V decode(V code, param_type p) const noexcept {
    return code * V(vq::op::exp2i(float(p)));
  }
};
static_assert(vq::quantizer_policy<pow2_int8>);
// [/policy]

int main() {
  std::vector<float> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(float(i)) * float(1 + i / 100);
  const vq::tensor_view<const float, 2> view{x.data(), {10, 100}};

  // calibrated with any estimator, as a built-in format is
  vq::histogram_observer seen;
  if (seen.observe(view) != vq::status::ok) return 1;
  const auto calibrated = vq::estimate_params(pow2_int8{}, seen, vq::mse{});
  if (!calibrated) return 1;
  std::printf("whole tensor, least squared error: scale 2^%d\n", int(*calibrated));

  // fitted per channel, packed, decoded, one value at a time and many
  const vq::quantizer<pow2_int8, vq::per_channel<0>> q;
  const auto narrow = vq::quantize(vq::scalar, q, view);
  const auto wide = vq::quantize(vq::simd::native, q, view);
  if (!narrow || !wide) return 1;

  std::size_t different = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    different += narrow->codes()[i] == wide->codes()[i] ? 0u : 1u;
  constexpr bool vectorized =
      !vq::runs_reference<vq::encode_strip<pow2_int8, vq::bytes>, vq::simd::native_t>;
  std::printf("channel 0: scale 2^%d, channel 9: scale 2^%d\n", int(narrow->params()[0]),
              int(narrow->params()[9]));
  std::printf("vectorized: %s; codes that differ between scalar and wide: %zu of %zu\n",
              vectorized ? "yes" : "no", different, x.size());
  return different == 0 && vectorized ? 0 : 1;
}
