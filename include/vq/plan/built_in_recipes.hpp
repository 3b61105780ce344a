// The recipes that come with the library.
//
//   vlm-asymmetric                     decoder NF4 with double quantization; vision tower,
//                                      connector, embeddings and head as they are
//   vlm-asymmetric-cross-attention-16  the same, and the layers that attend to the image as they
//                                      are (Llama 3.2 Vision)
//   vlm-int8                           as vlm-asymmetric, with INT8 in place of NF4
//   clip-text-int8                     text tower of a dual encoder INT8, a scale per channel
//   vit-selective                      a vision transformer in INT8 but for its patch embedding
//                                      and its classifier
//   all-nf4                            every linear layer but the head NF4, the vision tower
//                                      included: what a bare 4-bit configuration of transformers
//                                      does; `apply` warns
#ifndef VQ_PLAN_BUILT_IN_RECIPES_HPP
#define VQ_PLAN_BUILT_IN_RECIPES_HPP

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <vq/plan/recipe.hpp>

namespace vq::inline v1 {

inline constexpr std::array<std::string_view, 6> built_in_recipe_names{
    "vlm-asymmetric", "vlm-asymmetric-cross-attention-16",
    "vlm-int8",       "clip-text-int8",
    "vit-selective",  "all-nf4"};

// Errors: not_found.
inline result<recipe, failure> built_in_recipe(std::string_view name) {
  const std::string keep{keep_format}, four_bits = "nf4-block64-dq256", int8 = "int8-channel";
  const recipe_rule tower{.part = component::vision, .format = keep};
  const recipe_rule bridge{.part = component::connector, .format = keep, .optional = true};
  const recipe_rule tables{.part = component::embedding, .format = keep, .optional = true};
  const recipe_rule output{.part = component::head, .format = keep, .optional = true};
  const auto in_4_bits = [&](component c) {
    return recipe_rule{.part = c, .format = four_bits, .optional = true};
  };
  const recipe all[] = {
      {"vlm-asymmetric",
       "NF4 with double quantization for the language model; vision, connector, embeddings and "
       "head stay",
       {{.part = component::language_model, .format = four_bits},
        in_4_bits(component::cross_attention),
        tower,
        bridge,
        tables,
        output}},
      {"vlm-asymmetric-cross-attention-16",
       "vlm-asymmetric, and the layers that attend to the image stay",
       {{.part = component::language_model, .format = four_bits},
        {.part = component::cross_attention, .format = keep},
        tower,
        bridge,
        tables,
        output}},
      {"vlm-int8",
       "INT8, a scale per channel, for the language model; vision, connector, embeddings and head "
       "stay",
       {{.part = component::language_model, .format = int8},
        {.part = component::cross_attention, .format = int8, .optional = true},
        tower,
        bridge,
        tables,
        output}},
      {"clip-text-int8",
       "INT8 for the text tower; the vision tower and both projections stay",
       {{.pattern = "text_projection", .format = keep, .optional = true},
        {.part = component::text_tower, .format = int8},
        tower,
        bridge,
        tables}},
      {"vit-selective",
       "INT8 for attention and MLP of a vision transformer; patch embedding and classifier stay",
       {{.pattern = "*patch_embed*", .format = keep, .optional = true},
        {.pattern = "conv_proj", .format = keep, .optional = true},
        {.pattern = "classifier", .format = keep, .optional = true},
        {.pattern = "head", .format = keep, .optional = true},
        {.pattern = "heads", .format = keep, .optional = true},
        {.part = component::vision, .format = int8}}},
      {"all-nf4",
       "NF4 with double quantization for every linear layer but the head, the vision tower "
       "included",
       {in_4_bits(component::language_model), in_4_bits(component::cross_attention),
        in_4_bits(component::vision), in_4_bits(component::connector),
        in_4_bits(component::text_tower), in_4_bits(component::audio), tables, output}}};
  std::string known;
  for (const recipe& r : all) {
    if (r.name == name) return r;
    known += sentence(known.empty() ? "" : ", ", r.name);
  }
  return failure{status::not_found,
                 sentence("there is no recipe ", in_quotes(name), "; built in are ", known)};
}

// What `--recipe` takes: the name of a built-in recipe, or else a file.
inline result<recipe, failure> find_recipe(const std::string& name_or_path) {
  auto built_in = built_in_recipe(name_or_path);
  std::error_code ignored;
  if (built_in || !std::filesystem::exists(name_or_path, ignored)) return built_in;
  return read_recipe(name_or_path);
}

}  // namespace vq::inline v1

#endif
