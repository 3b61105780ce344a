// Which part of a vision-language model a tensor belongs to, by its name.
//
//   vq::classify("model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight")   // vision
//   vq::classify("multi_modal_projector.linear_1.weight")                             // connector
//   const auto parts = vq::classify_all(names, {.cross_attention_layers = {3, 8, 13}});
//
// Works on every layout of names: files, modules of transformers before and since 4.52, the
// original repositories, GGUF. The first of these that holds decides: connector, vision, audio,
// cross_attention, head, scalar, embedding, text_tower; anything else is the language model.
// Order matters: Qwen's connector lies inside `visual`, a position table of the vision tower is
// no token table, and `vision_model.head` is no output head.
//
// What one name cannot tell takes all of them (classify_all): a plain ViT or CNN has no language
// model, so everything is vision; whole layers of Llama 3.2 Vision (attention and MLP) attend to
// the image, their indices stand in config.json.
#ifndef VQ_PLAN_COMPONENT_HPP
#define VQ_PLAN_COMPONENT_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

enum class component : std::uint8_t {
  vision,
  connector,
  cross_attention,
  language_model,
  text_tower,  // of a dual encoder: CLIP, SigLIP
  audio,
  head,
  embedding,
  logit_scalar,  // logit_scale, logit_bias; `scalar` would hide vq::scalar
};

inline constexpr std::array<std::string_view, 9> component_names{
    "vision", "connector", "cross_attention", "language_model", "text_tower",
    "audio",  "head",      "embedding",       "scalar"};

constexpr std::string_view name_of(component c) noexcept {
  return component_names[static_cast<std::size_t>(c)];
}
constexpr std::optional<component> component_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < component_names.size(); ++i) {
    if (component_names[i] == name) return static_cast<component>(i);
  }
  return std::nullopt;
}

// The parts of a dotted name, one after the other.
template <class F>
constexpr void for_each_part(std::string_view name, F f) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = (std::min)(name.find('.', begin), name.size());
    f(name.substr(begin, end - begin));
    begin = end + 1;
  }
}

namespace component_words {

inline constexpr std::string_view connector[] = {"multi_modal_projector",
                                                 "multimodal_projector",
                                                 "mm_projector",
                                                 "connector",
                                                 "merger",
                                                 "deepstack_merger_list",
                                                 "mlp1",
                                                 "aligner",
                                                 "resampler",
                                                 "perceiver_resampler",
                                                 "qformer",
                                                 "visual_projection",
                                                 "image_newline",
                                                 "embed_vision",
                                                 "img_projection",
                                                 "glb_GN",
                                                 "sub_GN"};
inline constexpr std::string_view vision[] = {
    "vision_tower",        "vision_model",  "vision_backbone", "visual", "vision_encoder",
    "vision_embed_tokens", "image_encoder", "img_processor",   "vit"};
inline constexpr std::string_view audio[] = {"audio_tower", "audio_model"};
inline constexpr std::string_view cross_attention[] = {"cross_attn", "cross_attn_attn_gate",
                                                       "cross_attn_mlp_gate"};
inline constexpr std::string_view token_table[] = {
    "embed_tokens", "tok_embeddings", "token_embedding", "wte", "word_embeddings", "token_embd"};
inline constexpr std::string_view head[] = {"lm_head", "output"};

constexpr bool any_part(std::string_view name, std::span<const std::string_view> words) {
  bool found = false;
  for_each_part(name, [&](std::string_view part) {
    found = found || std::ranges::find(words, part) != words.end();
  });
  return found;
}

// lm_head or output, alone or behind model., language_model. or both. Anchored at both ends:
// `attention.output.dense` is no head.
constexpr bool is_head(std::string_view name) {
  for (const std::string_view before : {"model.language_model.", "language_model.", "model."}) {
    if (name.starts_with(before)) {
      name.remove_prefix(before.size());
      break;
    }
  }
  for (const std::string_view after : {".weight", ".bias"}) {
    if (name.ends_with(after)) {
      name.remove_suffix(after.size());
      break;
    }
  }
  return std::ranges::find(head, name) != std::ranges::end(head);
}

}  // namespace component_words

constexpr component classify(std::string_view name) {
  namespace words = component_words;
  const auto starts = [name](auto... prefix) { return (name.starts_with(prefix) || ...); };
  const auto last_part = name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  if (words::any_part(name, words::connector) ||
      starts("mm.", "v.deepstack.", "v.image_newline", "v.view_seperator")) {
    return component::connector;
  }
  if (words::any_part(name, words::vision) || starts("v.")) return component::vision;
  if (words::any_part(name, words::audio) || starts("a.")) return component::audio;
  if (words::any_part(name, words::cross_attention) ||
      name.find(".cross_attn_") != std::string_view::npos) {
    return component::cross_attention;
  }
  if (words::is_head(name)) return component::head;
  if (last_part == "logit_scale" || last_part == "logit_bias") return component::logit_scalar;
  constexpr std::string_view position[] = {"position_embedding"};
  if (words::any_part(name, words::token_table) || words::any_part(name, position)) {
    return component::embedding;
  }
  if (starts("text_model.", "text_projection.", "t.") || name == "text_projection") {
    return component::text_tower;
  }
  return component::language_model;
}

// The number behind `layers`, `blk` or `h` in a name, the index of a decoder layer.
constexpr std::optional<index_type> layer_index(std::string_view name) {
  std::optional<index_type> found;
  bool behind = false;
  for_each_part(name, [&](std::string_view part) {
    index_type index = 0;
    const char* end = part.data() + part.size();
    bool digits = behind && !part.empty() && part.size() <= 9;
    for (const char* c = part.data(); digits && c != end; ++c) {
      digits = *c >= '0' && *c <= '9';
      index = 10 * index + (*c - '0');
    }
    if (digits && !found) found = index;
    behind = part == "layers" || part == "blk" || part == "h";
  });
  return found;
}

struct model_facts {
  std::vector<index_type> cross_attention_layers;  // of config.json's text_config; may be empty
};

// One component per name. Give all names of a model, not those of one shard.
template <class Names>
std::vector<component> classify_all(const Names& names, const model_facts& facts = {}) {
  std::vector<component> all;
  bool has_language = false;
  for (const std::string_view name : names) {
    component c = classify(name);
    constexpr std::string_view decoder[] = {"language_model", "text_model", "lm_head"};
    has_language = has_language || c == component::connector || c == component::text_tower ||
                   c == component::cross_attention || c == component::audio ||
                   component_words::any_part(name, component_words::token_table) ||
                   component_words::any_part(name, decoder);
    if (c == component::language_model) {
      const auto layer = layer_index(name);
      const auto& cross = facts.cross_attention_layers;
      if (layer && std::ranges::find(cross, *layer) != cross.end()) c = component::cross_attention;
    }
    all.push_back(c);
  }
  if (!has_language) std::ranges::fill(all, component::vision);
  return all;
}

}  // namespace vq::inline v1

#endif
