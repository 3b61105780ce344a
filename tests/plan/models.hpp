// Small models for the tests of plan/: names and shapes, no values.
#ifndef VQ_TESTS_PLAN_MODELS_HPP
#define VQ_TESTS_PLAN_MODELS_HPP

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <vq/plan/assignment.hpp>

namespace models {

using tensors = std::vector<vq::tensor_info>;

inline vq::tensor_info f16(std::string name, std::vector<vq::index_type> shape) {
  return {std::move(name), vq::dtype::f16, std::move(shape)};
}

// A LLaVA of two tower layers and two decoder layers.
inline tensors small_llava() {
  tensors all;
  const std::string tower = "vision_tower.vision_model.", decoder = "language_model.model.";
  all.push_back(f16(tower + "embeddings.class_embedding", {32}));
  all.push_back(f16(tower + "embeddings.patch_embedding.weight", {32, 3, 8, 8}));
  all.push_back(f16(tower + "embeddings.position_embedding.weight", {65, 32}));
  for (const char* layer : {"0.", "1."}) {
    const std::string at = tower + "encoder.layers." + layer;
    for (const char* linear :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"}) {
      all.push_back(f16(at + linear + ".weight", {32, 32}));
      all.push_back(f16(at + linear + ".bias", {32}));
    }
    all.push_back(f16(at + "mlp.fc1.weight", {128, 32}));
    all.push_back(f16(at + "mlp.fc2.weight", {32, 128}));
    all.push_back(f16(at + "layer_norm1.weight", {32}));
  }
  all.push_back(f16("multi_modal_projector.linear_1.weight", {64, 32}));
  all.push_back(f16("multi_modal_projector.linear_1.bias", {64}));
  all.push_back(f16("multi_modal_projector.linear_2.weight", {64, 64}));
  all.push_back(f16(decoder + "embed_tokens.weight", {100, 64}));
  for (const char* layer : {"0.", "1."}) {
    const std::string at = decoder + "layers." + layer;
    for (const char* linear :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}) {
      all.push_back(f16(at + linear + ".weight", {64, 64}));
    }
    all.push_back(f16(at + "mlp.gate_proj.weight", {128, 64}));
    all.push_back(f16(at + "mlp.up_proj.weight", {128, 64}));
    all.push_back(f16(at + "mlp.down_proj.weight", {64, 128}));
    all.push_back(f16(at + "input_layernorm.weight", {64}));
  }
  all.push_back(f16(decoder + "norm.weight", {64}));
  all.push_back(f16("language_model.lm_head.weight", {100, 64}));
  return all;
}

inline const vq::assigned_tensor& find(const vq::assignment& plan, std::string_view name) {
  return *std::ranges::find(plan.tensors, name, &vq::assigned_tensor::name);
}

}  // namespace models

#endif
