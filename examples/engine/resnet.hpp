// ResNet for 32x32 images (He et al. 2015, arXiv 1512.03385, section 4.2) with torchvision's names:
// a stem, three stages of n blocks, 1x1 convolutions where a stage halves the image.
#ifndef ENGINE_RESNET_HPP
#define ENGINE_RESNET_HPP

#include <limits>
#include <string>

#include "engine/graph_builder.hpp"
#include "engine/model_config.hpp"

namespace engine {

inline constexpr vq::range relu{0, std::numeric_limits<float>::infinity()};

// The outputs are called as the modules are; a block's output has the block's name ("layer1.0").
inline vq::result<graph, vq::failure> build_resnet(model_config& config,
                                                   const vq::safetensors_file& weights) {
  const index_type blocks = config.integer("n", 1, 1000), stem = config.integer("width", 1, 4096);
  const index_type size = config.integer("image_size", 4, 4096);
  const index_type classes = config.integer("num_classes", 1, 1'000'000);
  const float epsilon = config.positive("bn_eps", 1e-5f);
  if (!config.ok()) return config.error();

  graph_builder net(weights);
  index_type x = net.conv2d(net.input({size, size, 3}), "conv1", {3, stem, 3});
  x = net.activation(net.batch_norm(x, "bn1", epsilon), "relu", relu);

  index_type channels = stem;
  for (index_type stage = 0; stage < 3; ++stage) {
    for (index_type block = 0; block < blocks; ++block) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(block);
      const index_type out = stem << stage;
      const index_type stride = stage > 0 && block == 0 ? 2 : 1;

      index_type y = net.conv2d(x, name + ".conv1", {channels, out, 3, stride});
      y = net.activation(net.batch_norm(y, name + ".bn1", epsilon), name + ".relu", relu);
      y = net.batch_norm(net.conv2d(y, name + ".conv2", {out, out, 3}), name + ".bn2", epsilon);
      if (stride != 1) {
        x = net.conv2d(x, name + ".downsample.0", {channels, out, 1, stride});
        x = net.batch_norm(x, name + ".downsample.1", epsilon);
      }
      x = net.activation(net.add(y, x, name + ".add"), name, relu);
      channels = out;
    }
  }
  net.linear(net.global_average_pool(x, "avgpool"), "fc", channels, classes);
  return std::move(net).build();
}

}  // namespace engine

#endif
