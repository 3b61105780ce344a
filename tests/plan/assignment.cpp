// Recipes applied: which tensors they take, what is protected, and every way to be refused.
#include <string>
#include <string_view>
#include <vector>

#include <vq/plan/assignment.hpp>
#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/summary.hpp>
#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"
#include "plan/models.hpp"

using models::f16;
using vq::component;

namespace {

const std::vector<vq::weight_format> formats = vq::formats_of<vq::weight_formats>();

vq::assignment applied(const vq::recipe& recipe, const models::tensors& tensors,
                       const vq::model_facts& facts = {}) {
  const auto plan = vq::apply(recipe, tensors, formats, facts);
  if (!plan) FAIL(vq::describe(plan.error()));
  return *plan;
}
vq::assignment applied(const char* recipe, const models::tensors& tensors,
                       const vq::model_facts& facts = {}) {
  return applied(*vq::built_in_recipe(recipe), tensors, facts);
}
std::string refusal(const std::vector<vq::recipe_rule>& rules, const models::tensors& tensors) {
  const auto plan = vq::apply(vq::recipe{"r", "", rules}, tensors, formats);
  return plan ? "" : vq::describe(plan.error());
}

// The names of what a plan quantizes.
std::vector<std::string> quantized(const vq::assignment& plan) {
  std::vector<std::string> names;
  for (const auto& t : plan.tensors) {
    if (t.quantized()) names.push_back(t.name);
  }
  return names;
}

models::tensors renamed(models::tensors tensors, vq::name_layout layout) {
  for (auto& t : tensors) t.name = vq::spelled_in(t.name, layout);
  return tensors;
}

}  // namespace

TEST_CASE("assignment: vlm-asymmetric quantizes the decoder's linear layers and nothing else",
          "[plan]") {
  for (const vq::name_layout layout : vq::name_layouts) {
    const auto tensors = renamed(models::small_llava(), layout);
    const auto plan = applied("vlm-asymmetric", tensors);
    REQUIRE(plan.tensors.size() == tensors.size());
    CHECK(quantized(plan).size() == 14);
    for (const auto& t : plan.tensors) {
      CAPTURE(t.name);
      const bool expected = t.part == component::language_model && t.shape.size() == 2;
      CHECK(t.format == (expected ? "nf4-block64-dq256" : "keep"));
    }
    CHECK(plan.warnings.empty());
  }
}

TEST_CASE("assignment: sizes are those of the formats, reasons name the rule", "[plan]") {
  const auto plan = applied("vlm-asymmetric", models::small_llava());
  const auto& down = models::find(plan, "language_model.model.layers.1.mlp.down_proj.weight");
  CHECK(down.bytes == 4096 + 128 + 4 + 1024 + 64);  // 64 x 128: 128 blocks in one group
  CHECK(plan.reason(down) == "rule 1: component 'language_model' -> nf4-block64-dq256");
  const auto& table = models::find(plan, "language_model.model.embed_tokens.weight");
  CHECK(table.bytes == 2 * 100 * 64);
  CHECK(table.kind == vq::weight_kind::other);
}

TEST_CASE("assignment: the first rule that hits decides", "[plan]") {
  const vq::recipe two{"r",
                       "",
                       {{.pattern = "language_model.*.layers.0", .format = "int8-channel"},
                        {.part = component::language_model, .format = "nf4-block64"}}};
  for (const vq::name_layout layout : vq::name_layouts) {
    const auto plan = applied(two, renamed(models::small_llava(), layout));
    int int8 = 0, nf4 = 0;
    for (const auto& t : plan.tensors) {
      int8 += t.format == "int8-channel";
      nf4 += t.format == "nf4-block64";
      if (t.format == "int8-channel") CHECK(vq::layer_index(t.name) == 0);
    }
    CHECK(int8 == 7);
    CHECK(nf4 == 7);
  }
}

TEST_CASE("assignment: a rule that hits nothing is an error, an optional one is not", "[plan]") {
  const auto llava = models::small_llava();
  const vq::recipe_rule decoder{.part = component::language_model, .format = "nf4-block64"};
  vq::recipe_rule wrong{.pattern = "visual.*", .format = "keep"};
  CHECK(refusal({decoder, wrong}, llava) ==
        "recipe 'r': rule 2 (pattern 'visual.*' -> keep) hits no tensor of 47; the model has "
        "vision, connector, language_model, head, embedding, names like "
        "'vision_tower.vision_model.encoder.layers.1.mlp.fc2.weight'");
  wrong.optional = true;
  CHECK(refusal({decoder, wrong}, llava) == "");
  CHECK(refusal({{.part = component::audio, .format = "keep"}}, llava)
            .starts_with("recipe 'r': rule 1 (component 'audio' -> keep) hits no tensor of 47"));
  CHECK(refusal({{.part = component::language_model, .format = "keep"}, decoder}, llava) ==
        "recipe 'r': rule 2 (component 'language_model' -> nf4-block64) hits nothing that earlier "
        "rules left: they took all 14 of its tensors");
  CHECK(refusal({{.part = component::embedding, .format = "nf4-block64"}}, llava) ==
        "recipe 'r': rule 1 (component 'embedding' -> nf4-block64) hits 1 tensors, none of which "
        "is the weight of a linear layer");
  CHECK(refusal({{.part = component::audio, .format = "nf4-block64", .optional = true}}, llava) ==
        "recipe 'r': no rule quantizes anything in this model");
  CHECK(refusal({{.part = component::vision, .format = "nf4"}}, llava)
            .starts_with("recipe 'r': rule 1: the format 'nf4' is unknown; known are keep, f32, "
                         "f16, bf16, nf4-block64,"));
}

TEST_CASE("assignment: head and connector are quantized only by name", "[plan]") {
  const auto llava = models::small_llava();
  const auto sweeping = applied({"r", "", {{.pattern = "*", .format = "nf4-block64"}}}, llava);
  CHECK(models::find(sweeping, "language_model.lm_head.weight").format == "keep");
  CHECK(models::find(sweeping, "multi_modal_projector.linear_1.weight").format == "keep");
  REQUIRE(sweeping.warnings.size() == 2);
  CHECK(sweeping.warnings[0].find("3 weights of head or connector") != std::string::npos);

  const auto named = applied({"r",
                              "",
                              {{.pattern = "*lm_head*", .format = "int8-channel"},
                               {.pattern = "multi_modal_projector", .format = "int8-channel"}}},
                             llava);
  CHECK(quantized(named) == std::vector<std::string>{"multi_modal_projector.linear_1.weight",
                                                     "multi_modal_projector.linear_2.weight",
                                                     "language_model.lm_head.weight"});
  CHECK(named.warnings.empty());
  CHECK(quantized(applied({"r", "", {{.part = component::head, .format = "int8-channel"}}}, llava))
            .size() == 1);
  CHECK(refusal({{.pattern = "language_model.lm_*", .format = "nf4-block64"}}, llava)
            .find("hits head or connector only and does not name them") != std::string::npos);
}

TEST_CASE("assignment: convolutions are quantized where a rule means them", "[plan]") {
  const auto llava = models::small_llava();
  const std::string patch = "vision_tower.vision_model.embeddings.patch_embedding.weight";
  const vq::recipe_rule tower{.part = component::vision, .format = "int8-channel"};
  CHECK(models::find(applied({"r", "", {tower}}, llava), patch).format == "keep");
  vq::recipe_rule all = tower;
  all.convolutions = true;
  CHECK(models::find(applied({"r", "", {all}}, llava), patch).format == "int8-channel");
  const auto named =
      applied({"r", "", {{.pattern = "*patch_embedding", .format = "nf4-block64"}}}, llava);
  CHECK(models::find(named, patch).format == "nf4-block64");
  CHECK(models::find(named, patch).kind == vq::weight_kind::convolution);

  const models::tensors network{f16("conv1.weight", {16, 3, 3, 3}), f16("bn1.weight", {16})};
  CHECK(refusal({tower}, network).find("add \"convolutions\": true") != std::string::npos);
  CHECK(quantized(applied({"r", "", {all}}, network)) == std::vector<std::string>{"conv1.weight"});
}

TEST_CASE("assignment: tables, integers and fused attention stay", "[plan]") {
  const models::tensors siglip{
      f16("vision_model.embeddings.position_embedding.weight", {729, 64}),
      f16("vision_model.head.attention.in_proj_weight", {192, 64}),
      f16("vision_model.head.attention.out_proj.weight", {64, 64}),
      f16("vision_model.head.mlp.fc1.weight", {128, 64}),
      f16("vision_model.gated_positional_embedding.tile_embedding.weight", {9, 128}),
      f16("vision_model.pre_tile_positional_embedding.embedding.weight", {9, 128}),
      f16("text_model.embeddings.token_embedding.weight", {100, 64}),
      f16("text_model.head.weight", {64, 64}),
      {"vision_model.counts.weight", vq::dtype::i64, {4, 4}}};
  const auto plan =
      applied({"r", "", {{.part = component::vision, .format = "int8-channel"}}}, siglip);
  CHECK(quantized(plan) == std::vector<std::string>{"vision_model.head.mlp.fc1.weight"});
  CHECK(models::find(plan, "vision_model.head.attention.out_proj.weight").kind ==
        vq::weight_kind::fused_attention);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].find("out_proj") != std::string::npos);

  const auto wide = applied({"r", "", {{.part = component::vision, .format = "f32"}}}, siglip);
  CHECK(models::find(wide, "vision_model.head.mlp.fc1.weight").bytes == 4 * 128 * 64);
  CHECK(models::find(wide, "vision_model.counts.weight").format == "keep");
  CHECK(models::find(wide, "vision_model.counts.weight").bytes == 8 * 16);
}

TEST_CASE("assignment: all-nf4 takes tower and connector, and warns", "[plan]") {
  const auto plan = applied("all-nf4", models::small_llava());
  CHECK(quantized(plan).size() == 14 + 12 + 2);
  CHECK(models::find(plan, "language_model.lm_head.weight").format == "keep");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].starts_with("12 weights of the vision tower get 4 bits or fewer"));
}

TEST_CASE("assignment: whole cross-attention layers stay in 16 bits", "[plan]") {
  models::tensors mllama = models::small_llava();
  mllama.push_back(f16("language_model.model.layers.2.cross_attn.q_proj.weight", {64, 64}));
  mllama.push_back(f16("language_model.model.layers.2.mlp.up_proj.weight", {128, 64}));
  const auto plan =
      applied("vlm-asymmetric-cross-attention-16", mllama, {.cross_attention_layers = {2}});
  CHECK(quantized(plan).size() == 14);
  CHECK(quantized(applied("vlm-asymmetric", mllama, {.cross_attention_layers = {2}})).size() == 16);
  // Without the configuration only the attention itself is known.
  CHECK(quantized(applied("vlm-asymmetric-cross-attention-16", mllama)).size() == 15);
  CHECK_FALSE(vq::apply(*vq::built_in_recipe("vlm-asymmetric-cross-attention-16"),
                        models::small_llava(), formats));
}

TEST_CASE("assignment: a vision transformer keeps its ends, and is no language model", "[plan]") {
  const models::tensors vit{f16("vit.embeddings.patch_embeddings.projection.weight", {32, 3, 4, 4}),
                            f16("vit.embeddings.position_embeddings", {1, 65, 32}),
                            f16("vit.encoder.layer.0.attention.attention.query.weight", {32, 32}),
                            f16("vit.encoder.layer.0.intermediate.dense.weight", {128, 32}),
                            f16("classifier.weight", {10, 32})};
  CHECK(quantized(applied("vit-selective", vit)) ==
        std::vector<std::string>{"vit.encoder.layer.0.attention.attention.query.weight",
                                 "vit.encoder.layer.0.intermediate.dense.weight"});
  for (const char* name : {"vlm-asymmetric", "clip-text-int8"}) {
    CHECK_FALSE(vq::apply(*vq::built_in_recipe(name), vit, formats));
  }
}

TEST_CASE("summary: every tensor is counted once, a tied head is said to be tied", "[plan]") {
  const auto llava = models::small_llava();
  const auto summary = vq::summarize(applied("vlm-asymmetric", llava));
  vq::index_type parameters = 0;
  for (const auto& t : llava) parameters += t.size();
  CHECK(summary.total.parameters == parameters);
  CHECK(summary.total.tensors == static_cast<vq::index_type>(llava.size()));
  REQUIRE(summary.components.size() == 5);
  const auto& decoder = summary.components[2];
  CHECK(decoder.part == component::language_model);
  REQUIRE(decoder.formats.size() == 2);
  CHECK(decoder.formats[0].format == "nf4-block64-dq256");
  CHECK(decoder.formats[0].tensors == 14);
  CHECK(decoder.formats[1].format == "f16");
  CHECK(decoder.all.bytes == decoder.formats[0].bytes + decoder.formats[1].bytes);

  auto tied = llava;
  tied.pop_back();
  const auto without = vq::summarize(applied("vlm-asymmetric", tied));
  REQUIRE(without.components.size() == 5);
  CHECK(without.components[3].part == component::head);
  CHECK(without.components[3].all.tensors == 0);
  CHECK(without.components[3].note == "tied to the embedding");
}
