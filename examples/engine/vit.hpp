// Vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929) with the names of Hugging Face's
// ViTForImageClassification.
#ifndef ENGINE_VIT_HPP
#define ENGINE_VIT_HPP

#include <string>

#include "engine/graph_builder.hpp"
#include "engine/model_config.hpp"

namespace engine {

// An encoder layer's output has the layer's name; probabilities are called "...attention.probs",
// their product with the values "...attention.context".
inline index_type vit_layer(graph_builder& net, index_type x, const std::string& layer,
                            index_type features, index_type hidden, index_type heads,
                            float epsilon) {
  const std::string attention = layer + ".attention.attention";
  const index_type norm = net.layer_norm(x, layer + ".layernorm_before", epsilon);
  const index_type q = net.linear(norm, attention + ".query", features, features);
  const index_type k = net.linear(norm, attention + ".key", features, features);
  const index_type v = net.linear(norm, attention + ".value", features, features);
  const index_type scores = net.apply(attention_scores{heads}, {q, k}, attention + ".scores");
  const index_type probs = net.apply(softmax{}, {scores}, attention + ".probs");
  const index_type context =
      net.apply(attention_context{heads}, {probs, v}, attention + ".context");
  index_type y = net.linear(context, layer + ".attention.output.dense", features, features);
  x = net.add(y, x, layer + ".attention");

  y = net.layer_norm(x, layer + ".layernorm_after", epsilon);
  y = net.linear(y, layer + ".intermediate.dense", features, hidden);
  y = net.apply(gelu{}, {y}, layer + ".intermediate");
  y = net.linear(y, layer + ".output.dense", hidden, features);
  return net.add(y, x, layer);
}

inline vq::result<graph, vq::failure> build_vit(model_config& config,
                                                const vq::safetensors_file& weights) {
  const index_type features = config.integer("hidden_size", 1, 1 << 16);
  const index_type hidden = config.integer("intermediate_size", 1, 1 << 18);
  const index_type layers = config.integer("num_hidden_layers", 1, 1000);
  const index_type heads = config.integer("num_attention_heads", 1, features);
  const index_type size = config.integer("image_size", 1, 4096);
  const index_type patch = config.integer("patch_size", 1, size);
  const index_type classes = config.entries("id2label");
  const float epsilon = config.positive("layer_norm_eps");
  if (!config.ok()) return config.error();

  graph_builder net(weights);
  const std::string embeddings = "vit.embeddings";
  index_type x =
      net.patches(net.input({size, size, 3}), embeddings + ".patch_embeddings.projection",
                  {3, features, patch, patch});
  x = net.to_tokens(x, embeddings);
  for (index_type i = 0; i < layers; ++i) {
    x = vit_layer(net, x, "vit.encoder.layer." + std::to_string(i), features, hidden, heads,
                  epsilon);
  }
  x = net.layer_norm(x, "vit.layernorm", epsilon);
  net.linear(net.apply(take_token{0}, {x}, "vit.pooled"), "classifier", features, classes);
  return std::move(net).build();
}

}  // namespace engine

#endif
