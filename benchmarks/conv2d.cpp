// The integer layers, channels last, one image: convolutions of ResNet-50 and MobileNetV2 with their
// requantization to u8, and residual addition. Cases: <in>to<out>_<height>x<width>.
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "shapes.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using vqb::conv_shape;
using X = std::uint8_t;

vq::shape_type<4> weights_of(const conv_shape& c) {
  return {c.outputs, c.inputs / c.groups, c.kernel, c.kernel};
}
vq::shape_type<4> channels_last(index_type channels, index_type side) {
  return {1, channels, side, side};
}
vq::shape_type<4> steps(index_type channels, index_type side) {
  return {0, 1, side * channels, channels};
}
std::size_t count(index_type n) { return static_cast<std::size_t>(n); }

// Everything that one convolution needs; stride 1, same size.
class convolution {
 public:
  explicit convolution(const conv_shape& c)
      : in_{vqb::random_bytes(c.in_size()).data(), channels_last(c.inputs, c.side),
            steps(c.inputs, c.side)},
        out_{vqb::scratch<X>(0, c.out_size()).data(), channels_last(c.outputs, c.side),
             steps(c.outputs, c.side)},
        window_{.padding = vq::pad_evenly(c.kernel / 2)},
        multipliers_(count(c.outputs), vq::float_multiplier{0.001f}) {
    const auto need = vq::packed_size(weights_of(c), c.groups);
    codes_.resize(count(need.codes));
    sums_.resize(count(need.sums));
    const vq::tensor_view<const std::int8_t, 4> w{vqb::random_codes(c.weights()).data(),
                                                  weights_of(c)};
    weights_ = *vq::pack_weights<std::int8_t>(w, c.groups, codes_, sums_);
  }

  template <class E>
  vq::status run(E execution, const vqb::thread_pool& pool) {
    workspace_.resize(
        count(vq::conv2d_workspace(execution, in_, weights_, window_, pool.workers())));
    const vq::to_codes<X> stage{.multipliers = multipliers_, .zero_point = 3};
    return vq::conv2d(execution, in_, vqb::conv_zero_point, weights_, {}, window_, stage, out_,
                      workspace_, pool);
  }

 private:
  vq::tensor_view<const X, 4> in_;
  vq::tensor_view<X, 4> out_;
  vq::window2d window_;
  std::vector<vq::float_multiplier> multipliers_;
  std::vector<std::int8_t> codes_;
  std::vector<std::int32_t> sums_, workspace_;
  vq::packed_weights weights_;
};

template <class E>
void add_convolution(const char* kernel, const conv_shape& c, const char* who, E execution,
                     int threads = 1) {
  vqb::add(
      kernel, c.case_name(), who, {c.operations(), vqb::operations},
      [=] {
        const auto state = std::make_shared<convolution>(c);
        const vqb::thread_pool& pool = vqb::pool(threads);
        if (state->run(execution, pool) != vq::status::ok) throw std::runtime_error("refused");
        return [=, &pool] { static_cast<void>(state->run(execution, pool)); };
      },
      threads);
}

template <class E>
void add_addition(const char* who, E execution) {
  constexpr std::size_t size = 64 << 10;
  vqb::add("add_u8", "L2", who, {3 * size, vqb::bytes}, [=] {
    const auto p = *vq::fit_add({0.02f, 3}, {0.03f, 120}, {0.04f, 7}, vq::all_codes<X>);
    const vq::tensor_view<const X, 1> a{vqb::random_bytes(2 * size).data(), {size}},
        b{a.data_handle() + size, {size}};
    const vq::tensor_view<X, 1> y{vqb::scratch<X>(0, size).data(), {size}};
    return [=] { static_cast<void>(vq::add(execution, p, a, b, y)); };
  });
}

const bool registered = [] {
  vqb::for_each_convolution([](const char* kernel, const conv_shape& c) {
    for (const int threads : {1, 2}) {
      if (threads > vqb::usable_cpus()) continue;
      add_convolution(kernel, c, "native", vq::simd::native, threads);
      vqb::limit_peak(kernel, c.case_name(), vqb::peak::int8, threads);
    }
#if defined(__AVX512BW__)
    add_convolution(kernel, c, "avx2", vq::simd::on<vq::simd::avx2>{});
#endif
  });
  add_addition("native", vq::simd::native);
  add_addition("scalar", vq::scalar);
  return vqb::limit_stream("add_u8", "L2", 64 << 10, 2, 1);
}();

}  // namespace
