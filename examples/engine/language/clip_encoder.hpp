// The blocks that CLIP's two towers are made of (Radford et al. 2021, arXiv 2103.00020), with the
// names of Hugging Face: layer norm, attention, layer norm, two linear layers around QuickGELU; both
// halves are added to what came in.
#ifndef ENGINE_LANGUAGE_CLIP_ENCODER_HPP
#define ENGINE_LANGUAGE_CLIP_ENCODER_HPP

#include <span>
#include <string>
#include <vector>

#include "engine/language/activation_functions.hpp"
#include "engine/language/linear_layer.hpp"
#include "engine/language/normalization.hpp"
#include "engine/language/sequence_attention.hpp"
#include "engine/language/weight_loader.hpp"
#include "engine/model_config.hpp"

namespace engine {

// What both towers' sections of config.json have in common.
struct clip_sizes {
  index_type features, hidden, layers, heads;
  float epsilon;

  explicit clip_sizes(model_config& config)
      : features(config.integer("hidden_size", 1, 1 << 16)),
        hidden(config.integer("intermediate_size", 1, 1 << 18)),
        layers(config.integer("num_hidden_layers", 1, 1000)),
        heads(config.divisor("num_attention_heads", features)),
        epsilon(config.positive("layer_norm_eps", 1e-5f)) {
    config.expect("hidden_act", "quick_gelu");
  }
};

struct clip_layer {
  row_layer_norm before_attention, before_mlp;
  linear_layer query, key, value, out, widen, narrow;

  clip_layer(weight_loader& load, const std::string& name, const clip_sizes& s)
      : before_attention(load.layer_norm(name + ".layer_norm1", s.features, s.epsilon)),
        before_mlp(load.layer_norm(name + ".layer_norm2", s.features, s.epsilon)),
        query(load.linear(name + ".self_attn.q_proj", s.features, s.features)),
        key(load.linear(name + ".self_attn.k_proj", s.features, s.features)),
        value(load.linear(name + ".self_attn.v_proj", s.features, s.features)),
        out(load.linear(name + ".self_attn.out_proj", s.features, s.features)),
        widen(load.linear(name + ".mlp.fc1", s.features, s.hidden)),
        narrow(load.linear(name + ".mlp.fc2", s.hidden, s.features)) {}

  void operator()(matrix& x, std::span<const row_range> sequences, index_type heads,
                  visibility seen) const {
    const matrix norm = before_attention(x);
    const matrix q = query(norm), k = key(norm), v = value(norm);
    matrix context(x.rows(), x.cols());
    for (const row_range s : sequences) {
      attend(q.middleRows(s.begin, s.count), k.middleRows(s.begin, s.count),
             v.middleRows(s.begin, s.count), {heads, heads}, seen,
             context.middleRows(s.begin, s.count));
    }
    x += out(context);
    matrix wide = widen(before_mlp(x));
    quick_gelu(wide);
    x += narrow(wide);
  }
};

struct clip_encoder {
  std::vector<clip_layer> layers;
  index_type heads;

  // The tensors' names begin with `name`.
  clip_encoder(weight_loader& load, const std::string& name, const clip_sizes& s) : heads(s.heads) {
    for (index_type i = 0; i < s.layers; ++i) {
      layers.emplace_back(load, name + ".layers." + std::to_string(i), s);
    }
  }

  // The first `count` layers.
  void run(matrix& x, std::span<const row_range> sequences, visibility seen,
           index_type count) const {
    for (index_type i = 0; i < count; ++i) layers[at(i)](x, sequences, heads, seen);
  }
};

}  // namespace engine

#endif
