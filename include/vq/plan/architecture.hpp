// The tensors of a model from its config.json alone, without the checkpoint.
//
//   const auto model = vq::read_architecture(nlohmann::json::parse(text), "config.json");
//   if (!model) return report(vq::describe(model.error()));
//   const auto plan = vq::apply(recipe, model->tensors, formats, model->facts());
//
// Names and shapes are those of the files that Hugging Face publishes, so counting, classifying and
// recipes work alike with and without the weights. Known: clip, siglip, llava, llava_next,
// llava_onevision, paligemma, idefics3, smolvlm, mllama, qwen2_vl, qwen2_5_vl, internvl_chat, and
// the plain decoders llama, mistral, qwen2, gemma. A family is a file in architecture/: a function
// that reads fields (config_section), fills the shapes and adds the tensors, and a line here.
#ifndef VQ_PLAN_ARCHITECTURE_HPP
#define VQ_PLAN_ARCHITECTURE_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/architecture/clip.hpp>
#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/decoder.hpp>
#include <vq/plan/architecture/internvl.hpp>
#include <vq/plan/architecture/llava.hpp>
#include <vq/plan/architecture/mllama.hpp>
#include <vq/plan/architecture/model_architecture.hpp>
#include <vq/plan/architecture/qwen_vl.hpp>

namespace vq::inline v1 {

namespace detail {

// The plain decoders, without an image part.
inline void read_plain_decoder(const config_section& config, tensor_list& list,
                               model_architecture& model) {
  model.decoder = read_decoder(config, config, model.family);
  add_decoder(list, model.decoder, "model.", "lm_head");
}

struct known_family {
  std::string_view model_type;
  void (*read)(const config_section&, tensor_list&, model_architecture&);
};
inline constexpr known_family known_families[] = {
    {"clip", read_dual_encoder},     {"siglip", read_dual_encoder},
    {"llava", read_llava},           {"llava_next", read_llava},
    {"llava_onevision", read_llava}, {"paligemma", read_paligemma},
    {"idefics3", read_idefics3},     {"smolvlm", read_idefics3},
    {"mllama", read_mllama},         {"qwen2_vl", read_qwen_vl},
    {"qwen2_5_vl", read_qwen_vl},    {"internvl_chat", read_internvl},
    {"llama", read_plain_decoder},   {"mistral", read_plain_decoder},
    {"qwen2", read_plain_decoder},   {"gemma", read_plain_decoder}};

// Fields within their bounds can still describe what does not exist.
inline std::optional<failure> refuse_size(const std::vector<tensor_info>& tensors,
                                          std::string_view file) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 50;
  std::uint64_t sum = 0;
  for (const tensor_info& t : tensors) {
    const auto bytes = bytes_of_shape(t.shape, t.type);
    sum += bytes ? (std::min)(*bytes, largest) : largest;
    if (sum >= largest) {
      return failure{status::bad_format,
                     sentence(file, ": tensor ", in_quotes(t.name), " of shape ", spelled(t.shape),
                              ": a model of more than 2^50 bytes is not believed")};
    }
  }
  return std::nullopt;
}

// The type of the weights; transformers takes float32 where nothing is said.
inline dtype weight_type(const config_section& config) {
  std::string name;
  for (const char* field : {"torch_dtype", "dtype"}) {
    for (const char* part : {"text_config", "llm_config"}) {
      if (name.empty()) name = config.section(part).text(field, "");
    }
    name = config.text(field, name);
  }
  if (name == "float16") return dtype::f16;
  if (name == "bfloat16") return dtype::bf16;
  if (!name.empty() && name != "float32" && name != "auto") {
    config.refuse_field("torch_dtype", "must be float16, bfloat16 or float32");
  }
  return dtype::f32;
}

}  // namespace detail

// `file` is the configuration's name for messages. Errors: bad_format (a field that breaks its
// rule), not_found (an unknown model_type).
inline result<model_architecture, failure> read_architecture(const nlohmann::json& json,
                                                             std::string_view file) {
  failure error{status::ok, {}};
  const config_section config(json, std::string(file), error);
  model_architecture model;
  model.family = config.text("model_type", "");
  tensor_list list(detail::weight_type(config));
  std::string known;
  for (const detail::known_family& family : detail::known_families) {
    known += sentence(known.empty() ? "" : ", ", family.model_type);
    if (family.model_type != model.family) continue;
    family.read(config, list, model);
    if (error.code != status::ok) return error;
    model.tensors = list.take();
    if (auto wrong = detail::refuse_size(model.tensors, file)) return *std::move(wrong);
    return model;
  }
  if (error.code != status::ok) return error;
  return failure{status::not_found, sentence(file, ": the model_type ", in_quotes(model.family),
                                             " is unknown; known are ", known)};
}

// Errors: those of read_architecture.
inline result<std::vector<tensor_info>, failure> expected_tensors(const nlohmann::json& json,
                                                                  std::string_view file) {
  auto model = read_architecture(json, file);
  if (!model) return model.error();
  return std::move(model->tensors);
}

}  // namespace vq::inline v1

#endif
