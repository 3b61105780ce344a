// MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) with torchvision's names: inverted residuals
// of a 1x1 expansion, a depthwise 3x3 and a linear 1x1 projection.
#ifndef ENGINE_MOBILENET_HPP
#define ENGINE_MOBILENET_HPP

#include <algorithm>
#include <string>

#include "engine/graph_builder.hpp"
#include "engine/model_config.hpp"

namespace engine {

inline constexpr vq::range relu6{0, 6};

// A multiple of 8 near `channels`, never less than nine tenths of it.
inline index_type rounded_channels(float channels) {
  const auto nearest = std::max<index_type>(8, static_cast<index_type>(channels + 4) / 8 * 8);
  return static_cast<float>(nearest) < 0.9f * channels ? nearest + 8 : nearest;
}

// The output of block k is called "features.k".
inline vq::result<graph, vq::failure> build_mobilenet_v2(model_config& config,
                                                         const vq::safetensors_file& weights) {
  const float width = config.positive("width_mult");
  const index_type size = config.integer("image_size", 4, 4096);
  const index_type classes = config.integer("num_classes", 1, 1'000'000);
  const index_type stem_stride = config.integer("stem_stride", 1, 2);
  const float epsilon = config.positive("bn_eps", 1e-5f);
  const auto settings = config.table("inverted_residual_setting", 4);
  if (!config.ok()) return config.error();

  graph_builder net(weights);
  // Convolution, batch norm and ReLU6, the tensors called NAME.0 and NAME.1.
  const auto conv_bn_relu6 = [&](index_type from, const std::string& name, const conv_shape& s,
                                 const std::string& output) {
    const index_type y = net.batch_norm(net.conv2d(from, name + ".0", s), name + ".1", epsilon);
    return net.activation(y, output, relu6);
  };

  index_type channels = rounded_channels(32 * width);
  index_type x = conv_bn_relu6(net.input({size, size, 3}), "features.0",
                               {3, channels, 3, stem_stride}, "features.0");
  int block = 1;
  for (const auto& setting : settings) {
    const index_type expansion = setting[0], repeats = setting[2];
    const index_type out = rounded_channels(static_cast<float>(setting[1]) * width);
    for (index_type i = 0; i < repeats; ++i, ++block) {
      const std::string name = "features." + std::to_string(block);
      const index_type stride = i == 0 ? setting[3] : 1, hidden = channels * expansion;
      int part = 0;
      const auto next = [&] { return name + ".conv." + std::to_string(part++); };

      index_type y = x;
      if (expansion != 1) {
        const std::string expand = next();
        y = conv_bn_relu6(y, expand, {channels, hidden, 1}, expand + ".2");
      }
      const std::string depthwise = next();
      y = conv_bn_relu6(y, depthwise, {hidden, hidden, 3, stride, hidden}, depthwise + ".2");
      y = net.conv2d(y, next(), {hidden, out, 1});
      const bool residual = stride == 1 && channels == out;
      const std::string normalization = next();
      y = net.batch_norm(y, normalization, epsilon, residual ? normalization : name);
      x = residual ? net.add(x, y, name) : y;
      channels = out;
    }
  }
  const index_type last = rounded_channels(1280 * std::max(1.f, width));
  const std::string head = "features." + std::to_string(block);
  x = conv_bn_relu6(x, head, {channels, last, 1}, head);
  net.linear(net.global_average_pool(x, "pool"), "classifier.1", last, classes);
  return std::move(net).build();
}

}  // namespace engine

#endif
