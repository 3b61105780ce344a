// The files of a model folder in Hugging Face's layout, opened: config.json, how images are
// prepared, and the weights.
#ifndef ENGINE_LANGUAGE_OPENED_MODEL_HPP
#define ENGINE_LANGUAGE_OPENED_MODEL_HPP

#include <filesystem>
#include <string>
#include <utility>

#include <vq/io/safetensors_reader.hpp>

#include "engine/model.hpp"
#include "engine/model_config.hpp"

namespace engine {

struct opened_model {
  model_config config;
  preprocessing images;
  vq::safetensors_file weights;

  // Errors: what is wrong with which file or field; model_type is not `type`.
  static vq::result<opened_model, vq::failure> open(const std::filesystem::path& folder,
                                                    const char* type) {
    auto config = model_config::open(folder / "config.json");
    if (!config) return config.error();
    if (config->text("model_type") != type) {
      config->refuse("model_type", vq::sentence("'", type, "' is needed"));
    }
    if (!config->ok()) return config->error();
    auto preparation = model_config::open(folder / "preprocessor_config.json");
    if (!preparation) return preparation.error();
    const preprocessing images{preparation->colours("image_mean", false),
                               preparation->colours("image_std", true)};
    if (!preparation->ok()) return preparation->error();
    auto weights = vq::safetensors_file::open(folder / "model.safetensors");
    if (!weights) return weights.error();
    return opened_model{*std::move(config), images, *std::move(weights)};
  }
};

}  // namespace engine

#endif
