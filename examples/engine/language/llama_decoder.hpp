// Llama's decoder (Touvron et al. 2023, arXiv 2302.13971) with the names of Hugging Face: RMS norm,
// rotary positions, causal attention (also grouped-query), SwiGLU, and a cache of keys and values.
//
//   kv_cache cache = decoder.cache();
//   matrix x = decoder.forward(decoder.embed(prompt), {{0, length}}, {&cache, 1});
//   matrix logits = decoder.logits(x.bottomRows(1));    // and so on with one token at a time
#ifndef ENGINE_LANGUAGE_LLAMA_DECODER_HPP
#define ENGINE_LANGUAGE_LLAMA_DECODER_HPP

#include <cmath>
#include <cstdint>
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

struct llama_sizes {
  index_type features, hidden, layers, heads, key_heads, vocabulary, positions;
  float epsilon, theta;

  explicit llama_sizes(model_config& config)
      : features(config.integer("hidden_size", 1, 1 << 16)),
        hidden(config.integer("intermediate_size", 1, 1 << 18)),
        layers(config.integer("num_hidden_layers", 1, 1000)),
        heads(config.divisor("num_attention_heads", features)),
        key_heads(config.contains("num_key_value_heads")
                      ? config.divisor("num_key_value_heads", heads)
                      : heads),
        vocabulary(config.integer("vocab_size", 1, 1 << 20)),
        positions(config.integer("max_position_embeddings", 1, 1 << 20)),
        epsilon(config.positive("rms_norm_eps", 1e-6f)),
        theta(config.positive("rope_theta", 10000.f)) {
    config.expect("hidden_act", "silu");
    if (features / heads % 2 != 0) config.refuse("num_attention_heads", "heads of odd size");
  }
  index_type head_size() const { return features / heads; }
};

// Rotary positions: feature i of a head's first half and feature i of its second half are turned by
// position * theta^(-2 i / size).
class rotary_positions {
 public:
  rotary_positions(index_type positions, index_type size, float theta)
      : cosine_(positions, size / 2), sine_(positions, size / 2) {
    for (index_type p = 0; p < positions; ++p) {
      for (index_type i = 0; i < size / 2; ++i) {
        const double frequency =
            std::pow(double{theta}, -2.0 * static_cast<double>(i) / static_cast<double>(size));
        cosine_(p, i) = static_cast<float>(std::cos(static_cast<double>(p) * frequency));
        sine_(p, i) = static_cast<float>(std::sin(static_cast<double>(p) * frequency));
      }
    }
  }

  index_type positions() const { return cosine_.rows(); }

  // Row i stands at position first + i.
  void turn(row_block x, index_type first) const {
    const index_type half = cosine_.cols();
    Eigen::RowVectorXf before(half);
    for (index_type r = 0; r < x.rows(); ++r) {
      const auto cosine = cosine_.row(first + r).array(), sine = sine_.row(first + r).array();
      for (index_type h = 0; h < x.cols(); h += 2 * half) {
        auto low = x.row(r).segment(h, half).array(),
             high = x.row(r).segment(h + half, half).array();
        before.array() = low;
        low = low * cosine - high * sine;
        high = high * cosine + before.array() * sine;
      }
    }
  }

 private:
  matrix cosine_, sine_;
};

// Keys (already turned) and values of the tokens that a sequence has so far, for every layer.
struct kv_cache {
  std::vector<matrix> keys, values;  // `length` rows are filled
  index_type length = 0;
};

struct llama_layer {
  row_rms_norm before_attention, before_mlp;
  linear_layer query, key, value, out, gate, up, down;

  llama_layer(weight_loader& load, const std::string& name, const llama_sizes& s)
      : before_attention(load.rms_norm(name + ".input_layernorm", s.features, s.epsilon)),
        before_mlp(load.rms_norm(name + ".post_attention_layernorm", s.features, s.epsilon)),
        query(load.projection(name + ".self_attn.q_proj", s.features, s.features)),
        key(load.projection(name + ".self_attn.k_proj", s.features, s.key_heads * s.head_size())),
        value(load.projection(name + ".self_attn.v_proj", s.features, s.key_heads * s.head_size())),
        out(load.projection(name + ".self_attn.o_proj", s.features, s.features)),
        gate(load.projection(name + ".mlp.gate_proj", s.features, s.hidden)),
        up(load.projection(name + ".mlp.up_proj", s.features, s.hidden)),
        down(load.projection(name + ".mlp.down_proj", s.hidden, s.features)) {}

  matrix mlp(const matrix& x) const {
    matrix wide = gate(x);
    silu(wide);
    wide.array() *= up(x).array();
    return down(wide);
  }
};

class llama_decoder {
 public:
  // `name`: "language_model" in a checkpoint of LLaVA.
  llama_decoder(weight_loader& load, const std::string& name, model_config& config)
      : llama_decoder(load, name, llama_sizes(config)) {}

  index_type features() const { return words_.cols(); }
  index_type vocabulary() const { return words_.rows(); }
  index_type positions() const { return rotary_.positions(); }

  kv_cache cache() const {
    const index_type width = heads_.keys * (features() / heads_.queries);
    const std::vector<matrix> empty(layers_.size(), matrix(positions(), width));
    return {empty, empty, 0};
  }

  matrix embed(std::span<const std::int32_t> ids) const {
    matrix x(std::ssize(ids), features());
    for (index_type i = 0; i < x.rows(); ++i) x.row(i) = words_.row(ids[at(i)]);
    return x;
  }

  // The last hidden states, normalized, of sequences that lie one after the other in x. Each
  // sequence goes on where its cache ends, and the cache grows; without caches all begin at 0.
  // No sequence may become longer than positions().
  matrix forward(matrix x, std::span<const row_range> sequences,
                 std::span<kv_cache> caches = {}) const {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const llama_layer& layer = layers_[l];
      const matrix norm = layer.before_attention(x);
      matrix q = layer.query(norm), k = layer.key(norm);
      const matrix v = layer.value(norm);
      matrix context(x.rows(), x.cols());
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        const row_range s = sequences[i];
        const index_type past = caches.empty() ? 0 : caches[i].length;
        rotary_.turn(q.middleRows(s.begin, s.count), past);
        rotary_.turn(k.middleRows(s.begin, s.count), past);
        if (caches.empty()) {
          attend(q.middleRows(s.begin, s.count), k.middleRows(s.begin, s.count),
                 v.middleRows(s.begin, s.count), heads_, visibility::causal,
                 context.middleRows(s.begin, s.count));
        } else {
          kv_cache& cache = caches[i];
          cache.keys[l].middleRows(past, s.count) = k.middleRows(s.begin, s.count);
          cache.values[l].middleRows(past, s.count) = v.middleRows(s.begin, s.count);
          attend(q.middleRows(s.begin, s.count), cache.keys[l].topRows(past + s.count),
                 cache.values[l].topRows(past + s.count), heads_, visibility::causal,
                 context.middleRows(s.begin, s.count));
        }
      }
      x += layer.out(context);
      x += layer.mlp(layer.before_mlp(x));
    }
    for (std::size_t i = 0; i < caches.size(); ++i) caches[i].length += sequences[i].count;
    return after_layers_(x);
  }

  matrix logits(const matrix& x) const { return head_(x); }

 private:
  llama_decoder(weight_loader& load, const std::string& name, const llama_sizes& s)
      : words_(load.table(name + ".model.embed_tokens.weight", s.vocabulary, s.features)),
        heads_{s.heads, s.key_heads},
        rotary_(load.ok() ? s.positions : 0, s.head_size(), s.theta),
        after_layers_(load.rms_norm(name + ".model.norm", s.features, s.epsilon)),
        head_(load.projection(name + ".lm_head", s.features, s.vocabulary)) {
    for (index_type i = 0; i < s.layers; ++i) {
      layers_.emplace_back(load, name + ".model.layers." + std::to_string(i), s);
    }
  }

  matrix words_;
  head_counts heads_;
  rotary_positions rotary_;
  std::vector<llama_layer> layers_;
  row_rms_norm after_layers_;
  linear_layer head_;
};

}  // namespace engine

#endif
