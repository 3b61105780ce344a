// The decoder of Llama, Mistral, Qwen2 and Gemma, which most vision-language models contain.
//
//   PREFIX embed_tokens, layers.N.{input_layernorm, self_attn.{q,k,v,o}_proj,
//   post_attention_layernorm, mlp.{gate,up,down}_proj}, norm; HEAD
//
// The families differ in biases, in whether the head is tied, and in the defaults that stand for
// absent fields of a configuration.
#ifndef VQ_PLAN_ARCHITECTURE_DECODER_HPP
#define VQ_PLAN_ARCHITECTURE_DECODER_HPP

#include <algorithm>
#include <string>
#include <string_view>

#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

// Fields that a configuration of this model_type leaves out; hidden is 0 for an unknown one.
inline decoder_shape default_decoder(std::string_view model_type) {
  decoder_shape d;
  if (model_type == "llama" || model_type == "mistral") {
    d = {4096, 32, 32, 32, 0, 11008, 32000};
    if (model_type == "mistral") d.kv_heads = 8, d.ffn = 14336;
  } else if (model_type == "qwen2") {
    d = {4096, 32, 32, 32, 0, 22016, 151936};
    d.qkv_bias = true;
  } else if (model_type == "qwen2_vl" || model_type == "qwen2_5_vl") {
    d = {8192, 80, 64, 8, 0, 29568, 152064};
    d.qkv_bias = true;
  } else if (model_type == "gemma") {
    d = {3072, 28, 16, 16, 256, 24576, 256000};
    d.tied = true;
  } else if (model_type == "mllama_text_model") {
    d = {4096, 40, 32, 8, 0, 14336, 128256, 8};
    d.cross_attention_layers = {3, 8, 13, 18, 23, 28, 33, 38};
  } else if (model_type == "internlm2") {
    d = {4096, 32, 32, 32, 0, 11008, 103168};
  }
  return d;
}

// `config`: the section with the decoder's fields; `outer`: the whole, which may say whether the
// head is tied.
inline decoder_shape read_decoder(const config_section& config, const config_section& outer,
                                  std::string_view model_type) {
  decoder_shape d = default_decoder(model_type);
  if (d.hidden == 0) {
    config.refuse(sentence("the decoder ", in_quotes(model_type),
                           " is unknown; known are llama, mistral, qwen2, gemma, internlm2"));
    return d;
  }
  constexpr index_type most_heads = 4096, widest_head = 1 << 16;
  const bool heads_given = config.has("num_attention_heads");
  d.hidden = config.integer("hidden_size", d.hidden);
  d.layers = config.layers("num_hidden_layers", d.layers);
  d.heads = config.integer("num_attention_heads", d.heads, most_heads);
  // Configurations of before grouped-query attention have no such field.
  const bool all_heads = heads_given && model_type != "mistral" && model_type != "qwen2_vl" &&
                         model_type != "qwen2_5_vl" && model_type != "mllama_text_model";
  d.kv_heads = config.integer("num_key_value_heads", all_heads ? d.heads : d.kv_heads, most_heads);
  if (d.head_dim == 0) d.head_dim = (std::max)(d.hidden / d.heads, index_type{1});
  d.head_dim = config.integer("head_dim", d.head_dim, widest_head);
  d.ffn = config.integer("intermediate_size", d.ffn);
  d.vocabulary = config.integer("vocab_size", d.vocabulary, 100'000'000);
  d.longest_context = config.integer("max_position_embeddings", 0, 1'000'000'000);
  if (model_type == "llama" || model_type == "mistral") {
    d.qkv_bias = d.output_bias = config.flag("attention_bias", false);
  }
  d.tied = config.flag("tie_word_embeddings", outer.flag("tie_word_embeddings", d.tied));
  if (d.heads % d.kv_heads != 0) {
    config.refuse_field("num_key_value_heads", sentence("does not divide ", d.heads, " heads"));
  }
  return d;
}

// Attention of one layer, behind `name`: self_attn or cross_attn.
inline void add_decoder_attention(tensor_list& list, const decoder_shape& d,
                                  const std::string& name) {
  const index_type query = d.heads * d.head_dim, key = d.kv_heads * d.head_dim;
  list.linear(name + ".q_proj", query, d.hidden, d.qkv_bias);
  list.linear(name + ".k_proj", key, d.hidden, d.qkv_bias);
  list.linear(name + ".v_proj", key, d.hidden, d.qkv_bias);
  list.linear(name + ".o_proj", d.hidden, query, d.output_bias);
}

// The layers behind `prefix`, which ends with a dot, and unless it is tied the head.
inline void add_decoder(tensor_list& list, const decoder_shape& d, const std::string& prefix,
                        const std::string& head) {
  list.add(prefix + "embed_tokens.weight", {d.vocabulary + d.extra_embeddings, d.hidden});
  for (index_type layer = 0; layer < d.layers; ++layer) {
    const std::string at = sentence(prefix, "layers.", layer, ".");
    const auto& cross = d.cross_attention_layers;
    if (std::ranges::find(cross, layer) == cross.end()) {
      add_decoder_attention(list, d, at + "self_attn");
    } else {
      add_decoder_attention(list, d, at + "cross_attn");
      list.rms_norm(at + "cross_attn.q_norm", d.head_dim);
      list.rms_norm(at + "cross_attn.k_norm", d.head_dim);
      list.add(at + "cross_attn_attn_gate", {1});
      list.add(at + "cross_attn_mlp_gate", {1});
    }
    list.linear(at + "mlp.gate_proj", d.ffn, d.hidden, without_bias);
    list.linear(at + "mlp.up_proj", d.ffn, d.hidden, without_bias);
    list.linear(at + "mlp.down_proj", d.hidden, d.ffn, without_bias);
    list.rms_norm(at + "input_layernorm", d.hidden);
    list.rms_norm(at + "post_attention_layernorm", d.hidden);
  }
  list.rms_norm(prefix + "norm", d.hidden);
  if (!d.tied) list.linear(head, d.vocabulary, d.hidden, without_bias);
}

}  // namespace vq::inline v1

#endif
