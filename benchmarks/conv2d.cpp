// The integer layers, channels last, one image: convolutions of ResNet-50 and MobileNetV2 with their
// requantization to u8, and residual addition. Cases: <in>to<out>_<height>x<width>.
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using X = std::uint8_t;

struct layer {
  index_type inputs, outputs, side, kernel, groups = 1;

  vq::shape_type<4> weights() const { return {outputs, inputs / groups, kernel, kernel}; }
  vq::shape_type<4> channels_last(index_type channels) const { return {1, channels, side, side}; }
  vq::shape_type<4> steps(index_type channels) const { return {0, 1, side * channels, channels}; }
  static std::size_t count(index_type n) { return static_cast<std::size_t>(n); }
  std::size_t pixels() const { return count(side * side); }
  index_type products() const { return side * side * vq::volume(weights()); }
  std::string case_name() const {
    const std::string size = std::to_string(side) + "x" + std::to_string(side);
    return std::to_string(inputs) + "to" + std::to_string(outputs) + "_" + size;
  }
};

// Everything that one convolution needs; stride 1, same size.
class convolution {
 public:
  explicit convolution(const layer& l)
      : in_{vqb::random_bytes(l.pixels() * l.count(l.inputs)).data(), l.channels_last(l.inputs),
            l.steps(l.inputs)},
        out_{vqb::scratch<X>(0, l.pixels() * l.count(l.outputs)).data(), l.channels_last(l.outputs),
             l.steps(l.outputs)},
        window_{.padding = vq::pad_evenly(l.kernel / 2)},
        multipliers_(l.count(l.outputs), vq::float_multiplier{0.001f}) {
    const auto need = vq::packed_size(l.weights(), l.groups);
    codes_.resize(l.count(need.codes));
    sums_.resize(l.count(need.sums));
    const auto codes = vqb::random_codes(l.count(vq::volume(l.weights())));
    weights_ = *vq::pack_weights<std::int8_t>({codes.data(), l.weights()}, l.groups, codes_, sums_);
    workspace_.resize(l.count(vq::conv2d_workspace(in_, weights_, window_)));
  }

  template <class E>
  vq::status run(E execution) {
    const vq::to_codes<X> stage{.multipliers = multipliers_, .zero_point = 3};
    return vq::conv2d(execution, in_, 7, weights_, {}, window_, stage, out_, workspace_);
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
void add_convolution(const char* kernel, const layer& l, const char* who, E execution) {
  vqb::add(kernel, l.case_name(), who, {2 * l.products(), vqb::operations}, [=] {
    const auto state = std::make_shared<convolution>(l);
    if (state->run(execution) != vq::status::ok) throw std::runtime_error("refused");
    return [=] { static_cast<void>(state->run(execution)); };
  });
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
  const auto layers = [](const char* kernel, std::initializer_list<layer> list) {
    for (const layer& l : list) {
      add_convolution(kernel, l, "native", vq::simd::native);
      vqb::limit_peak(kernel, l.case_name(), vqb::peak::int8);
    }
  };
  layers("conv3x3_u8", {{64, 64, 56, 3}, {128, 128, 28, 3}, {256, 256, 14, 3}, {512, 512, 7, 3}});
  layers("conv1x1_u8", {{64, 256, 56, 1}});
  layers("depthwise3x3_u8", {{96, 96, 56, 3, 96}, {384, 384, 14, 3, 384}});
  add_addition("native", vq::simd::native);
  add_addition("scalar", vq::scalar);
  return vqb::limit_stream("add_u8", "L2", 64 << 10, 2, 1);
}();

}  // namespace
