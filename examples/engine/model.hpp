// A model as a folder: config.json says what it is, model.safetensors holds its tensors.
#ifndef ENGINE_MODEL_HPP
#define ENGINE_MODEL_HPP

#include <array>
#include <filesystem>
#include <string>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/graph.hpp"

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
vq::result<model, vq::failure> load_model(const std::filesystem::path& folder);

}  // namespace engine

#endif
