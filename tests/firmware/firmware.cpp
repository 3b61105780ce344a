// What a program without operating system does with the library: finds the parameters of its
// weights, quantizes them, and runs an INT8 convolution and an INT8 linear layer. Every byte is
// static and every size a constant expression; see check.py for how it is built.
#include <cstdint>

#include <vq/nn.hpp>
#include <vq/quant.hpp>

namespace {

using vq::index_type;
using vq::shape_type;
using vq::status;

// Weights of one layer, in floats and packed for the kernels.
template <int Rank, index_type... Extents>
struct layer {
  static constexpr shape_type<Rank> shape{Extents...};
  static constexpr vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q{};
  static constexpr vq::packed_sizes packed_size = vq::packed_size(shape);
  static constexpr index_type outputs = shape[0];

  float weights[vq::volume(shape)];
  std::int8_t codes[q.required(shape).codes];
  vq::affine_param params[q.required(shape).params];
  std::int8_t panels[packed_size.codes];
  std::int32_t sums[packed_size.sums];
  std::int32_t bias[outputs];
  vq::fixed_multiplier<> multipliers[outputs];
  vq::packed_weights packed;

  status prepare(vq::affine_param in, vq::affine_param out) {
    const vq::tensor_view<const float, Rank> w{weights, shape};
    if (auto s = vq::fit(q, w, params); s != status::ok) return s;
    if (auto s = vq::quantize(q, w, params, codes); s != status::ok) return s;
    const auto result = pack({codes, shape});
    if (!result) return result.error();
    packed = *result;
    return vq::find_multipliers<vq::fixed_multiplier<>>(in, params, out, multipliers);
  }

 private:
  vq::result<vq::packed_weights> pack(const vq::tensor_view<const std::int8_t, Rank>& w) {
    if constexpr (Rank == 2) {
      return vq::pack_weights<std::int8_t>(w, panels, sums);
    } else {
      return vq::pack_weights<std::int8_t>(w, 1, panels, sums);
    }
  }
};

constexpr index_type channels = 4, filters = 8, side = 6, classes = 10;
constexpr index_type features = filters * side * side;
constexpr vq::window2d window{.padding = vq::pad_evenly(1)};

layer<4, filters, channels, 3, 3> conv;
layer<2, classes, features> head;

// Channels last: logical (N, C, H, W) with the strides of NHWC.
constexpr shape_type<4> image_shape{1, channels, side, side};
constexpr shape_type<4> image_strides{0, 1, side* channels, channels};
constexpr shape_type<2> feature_shape{1, features};

// Workspaces depend on shapes alone.
constexpr index_type workspace_size =
    vq::conv2d_workspace(
        vq::tensor_view<const std::int8_t, 4>{nullptr, image_shape, image_strides},
        vq::packed_weights{.outputs = filters, .inputs = channels, .kernel = {3, 3}}, window) +
    vq::linear_workspace(vq::tensor_view<const std::int8_t, 2>{nullptr, feature_shape},
                         vq::packed_weights{.outputs = classes, .inputs = features});

std::int8_t image[channels * side * side];
std::int8_t hidden[features];
std::int8_t scores[classes];
std::int32_t workspace[workspace_size];

status infer() {
  using activation = vq::uniform<8, vq::asymmetric>;
  constexpr vq::affine_param in{0.02f, 0}, middle{0.05f, -128}, out{0.1f, 0};
  if (auto s = conv.prepare(in, middle); s != status::ok) return s;
  if (auto s = head.prepare(middle, out); s != status::ok) return s;

  const vq::tensor_view<const std::int8_t, 4> x{image, image_shape, image_strides};
  const vq::tensor_view<std::int8_t, 4> h{
      hidden, {1, filters, side, side}, {0, 1, side * filters, filters}};
  const vq::to_codes<std::int8_t, vq::fixed_multiplier<>> relu{
      .multipliers = conv.multipliers,
      .zero_point = middle.zero_point,
      .codes = vq::relu(activation::limits, middle)};
  if (auto s = vq::conv2d(x, in.zero_point, conv.packed, conv.bias, window, relu, h, workspace);
      s != status::ok) {
    return s;
  }
  const vq::tensor_view<const std::int8_t, 2> flat{hidden, feature_shape};
  const vq::tensor_view<std::int8_t, 2> y{scores, {1, classes}};
  const vq::to_codes<std::int8_t, vq::fixed_multiplier<>> plain{.multipliers = head.multipliers};
  return vq::linear(flat, middle.zero_point, head.packed, head.bias, plain, y, workspace);
}

}  // namespace

volatile int sensor, sink;

// Where execution begins; there is nothing to return to.
extern "C" [[noreturn]] void _start() {
  for (float& w : conv.weights) w = 0.01f * static_cast<float>(sensor);
  for (float& w : head.weights) w = 0.01f * static_cast<float>(sensor);
  for (std::int8_t& code : image) code = static_cast<std::int8_t>(sensor);
  sink = static_cast<int>(infer()) + scores[0];
  for (;;) {
  }
}
