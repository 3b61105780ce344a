#include "engine/model.hpp"

#include <utility>

#include <vq/io/safetensors_reader.hpp>

#include "engine/mobilenet.hpp"
#include "engine/model_config.hpp"
#include "engine/resnet.hpp"
#include "engine/vit.hpp"

namespace engine {
namespace {

vq::result<graph, vq::failure> refuse_architecture(const model_config& config, const char* field,
                                                   const std::string& arch) {
  return vq::failure{vq::status::bad_format,
                     vq::sentence(config.file(), ": field '", field, "': ", vq::in_quotes(arch),
                                  " is none of 'resnet', 'mobilenetv2' and 'vit'")};
}

}  // namespace

vq::result<model, vq::failure> load_model(const std::filesystem::path& folder) {
  auto config = model_config::open(folder / "config.json");
  if (!config) return config.error();
  const auto weights = vq::safetensors_file::open(folder / "model.safetensors");
  if (!weights) return weights.error();

  // Hugging Face's models say how images are prepared in a file of its own.
  const bool hugging_face = config->contains("model_type");
  const char* field = hugging_face ? "model_type" : "arch";
  const std::string arch = config->text(field);
  if (!config->ok()) return config->error();
  auto preparation = hugging_face ? model_config::open(folder / "preprocessor_config.json")
                                  : vq::result<model_config, vq::failure>(*config);
  if (!preparation) return preparation.error();
  const preprocessing images{preparation->colours("image_mean", false),
                             preparation->colours("image_std", true)};
  if (!preparation->ok()) return preparation->error();

  auto network = arch == "resnet"        ? build_resnet(*config, *weights)
                 : arch == "mobilenetv2" ? build_mobilenet_v2(*config, *weights)
                 : arch == "vit"         ? build_vit(*config, *weights)
                                         : refuse_architecture(*config, field, arch);
  if (!network) return network.error();
  auto name = std::filesystem::absolute(folder).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  return model{name.filename().string(), arch, *std::move(network), images};
}

}  // namespace engine
