// The names that one tensor has in different places, and patterns that hold in all of them.
//
//   file                      language_model.model.layers.0.mlp.up_proj.weight
//   modules since 4.52        model.language_model.layers.0.mlp.up_proj.weight
//   file                      vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight
//   modules since 4.52        model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight
//   modules since 5.6         model.vision_tower.encoder.layers.0.mlp.fc1.weight
//
// (of Hugging Face transformers). A recipe is written with one of these in view and applied to
// another; a pattern that then hits nothing is the most reported bug of this field. So a pattern
// is held against every layout of a name:
//
//   vq::matches("language_model.*.mlp", "model.language_model.layers.0.mlp.up_proj.weight")  // true
//
// `*` stands for any text, dots included, `?` for one character. A pattern matches a whole name or
// all of it up to a dot: `lm_head` is `lm_head.weight`, `*.layers.1` is not `*.layers.10`.
#ifndef VQ_PLAN_NAME_LAYOUT_HPP
#define VQ_PLAN_NAME_LAYOUT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <vq/plan/component.hpp>

namespace vq::inline v1 {

// The module that a weight is of: "encoder.0.fc1.weight" -> "encoder.0.fc1".
constexpr std::string_view module_of(std::string_view weight) noexcept {
  constexpr std::string_view suffix = ".weight";
  if (weight.ends_with(suffix)) weight.remove_suffix(suffix.size());
  return weight;
}

enum class name_layout : std::uint8_t {
  stored,               // as given
  modules_4_52,         // transformers 4.52 to 5.5: a level `model` at the front
  modules_5_6,          // since 5.6: CLIP-like towers without their level `vision_model`
  vllm,                 // as the files of LLaVA, for every model
  original_repository,  // LLaVA's own repository; the decoder of Qwen2-VL's files
};
inline constexpr std::array<name_layout, 5> name_layouts{
    name_layout::stored, name_layout::modules_4_52, name_layout::modules_5_6, name_layout::vllm,
    name_layout::original_repository};

namespace detail {

enum class name_place : std::uint8_t { elsewhere, tower, beside, decoder, head };

struct located_name {
  name_place place = name_place::elsewhere;
  std::string_view rest;     // behind the levels that differ
  bool inner_level = false;  // a tower with `vision_model`
};

constexpr bool drop_level(std::string_view& name, std::string_view level) noexcept {
  if (name.size() <= level.size() || !name.starts_with(level) || name[level.size()] != '.') {
    return false;
  }
  name.remove_prefix(level.size() + 1);
  return true;
}

constexpr located_name locate(std::string_view name) noexcept {
  namespace words = component_words;
  constexpr std::string_view decoder[] = {"layers", "embed_tokens", "norm", "tok_embeddings",
                                          "rotary_emb"};
  std::string_view rest = name;
  drop_level(rest, "model");
  if (drop_level(rest, "vision_tower")) {
    drop_level(rest, "vision_tower");
    const bool inner = drop_level(rest, "vision_model");
    return {name_place::tower, rest, inner};
  }
  const bool below = drop_level(rest, "language_model");
  if (below) drop_level(rest, "model");
  const std::string_view first = rest.substr(0, rest.find('.'));
  if (words::any_part(first, words::head)) return {name_place::head, rest};
  if (words::any_part(first, decoder)) return {name_place::decoder, rest};
  if (!below &&
      (words::any_part(first, words::vision) || words::any_part(first, words::connector))) {
    return {name_place::beside, rest};
  }
  return {name_place::elsewhere, name};
}

}  // namespace detail

// What a tensor or module is called in a layout; names without a known place keep theirs.
inline std::string spelled_in(std::string_view name, name_layout layout) {
  using enum detail::name_place;
  const detail::located_name at = detail::locate(name);
  if (layout == name_layout::stored || at.place == elsewhere) return std::string(name);
  const bool modules = layout == name_layout::modules_4_52 || layout == name_layout::modules_5_6;
  const bool original = layout == name_layout::original_repository;
  std::string text;
  switch (at.place) {
    case tower:
      text = modules    ? "model.vision_tower."
             : original ? "model.vision_tower.vision_tower."
                        : "vision_tower.";
      if (at.inner_level ? layout != name_layout::modules_5_6 : original) text += "vision_model.";
      break;
    case beside:
      text = modules || original ? "model." : "";
      break;
    case decoder:
      text = modules ? "model.language_model." : original ? "model." : "language_model.model.";
      break;
    case head:
      text = layout == name_layout::vllm ? "language_model." : "";
      break;
    case elsewhere:
      break;
  }
  return text += at.rest;
}

// `*` and `?` only; iterative, so a hostile pattern costs at most its length times the name's.
// True where the pattern ends at the end of the name or before a dot.
constexpr bool glob_matches(std::string_view pattern, std::string_view name) noexcept {
  std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  for (;;) {
    if (p == pattern.size() && (n == name.size() || name[n] == '.')) return true;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
      continue;
    }
    if (p < pattern.size() && n < name.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
      continue;
    }
    if (star == std::string_view::npos || resume == name.size()) return false;
    p = star + 1;
    n = ++resume;
  }
}

// True where the pattern matches the name in any layout.
inline bool matches(std::string_view pattern, std::string_view name) {
  for (const name_layout layout : name_layouts) {
    if (glob_matches(pattern, spelled_in(name, layout))) return true;
  }
  return false;
}

}  // namespace vq::inline v1

#endif
