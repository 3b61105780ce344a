// A model as a folder: config.json says what it is, model.safetensors holds its tensors.
#ifndef ENGINE_MODEL_HPP
#define ENGINE_MODEL_HPP

#include <array>
#include <filesystem>
#include <string>
#include <utility>

#include <vq/io/safetensors_reader.hpp>

#include "engine/graph.hpp"
#include "engine/mobilenet.hpp"
#include "engine/model_config.hpp"
#include "engine/resnet.hpp"

namespace engine {

// x = (byte / 255 - mean) / std, per colour.
struct preprocessing {
  std::array<float, 3> mean{}, std{1, 1, 1};
};

struct model {
  std::string name;  // of the folder
  std::string arch;  // as config.json calls it
  graph network;
  preprocessing images;
};

// Errors: what is wrong with which file, tensor or field.
inline vq::result<model, vq::failure> load_model(const std::filesystem::path& folder) {
  auto config = model_config::open(folder / "config.json");
  if (!config) return config.error();
  const auto weights = vq::safetensors_file::open(folder / "model.safetensors");
  if (!weights) return weights.error();

  const std::string arch = config->text("arch");
  preprocessing images{config->colours("image_mean", false), config->colours("image_std", true)};
  if (!config->ok()) return config->error();
  if (arch != "resnet" && arch != "mobilenetv2") {
    return vq::failure{vq::status::bad_format,
                       vq::sentence(config->file(), ": field 'arch': ", vq::in_quotes(arch),
                                    " is neither 'resnet' nor 'mobilenetv2'")};
  }
  auto network =
      arch == "resnet" ? build_resnet(*config, *weights) : build_mobilenet_v2(*config, *weights);
  if (!network) return network.error();
  auto name = std::filesystem::absolute(folder).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  return model{name.filename().string(), arch, *std::move(network), images};
}

}  // namespace engine

#endif
