// CLIP's text tower: causal, read at the end token, which has the highest id of a vocabulary.
#ifndef ENGINE_LANGUAGE_CLIP_TEXT_TOWER_HPP
#define ENGINE_LANGUAGE_CLIP_TEXT_TOWER_HPP

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/language/clip_encoder.hpp"

namespace engine {

using token_ids = std::vector<std::int32_t>;

struct clip_text_tower {
  matrix words, positions;
  clip_encoder encoder;
  row_layer_norm after_layers;

  clip_text_tower(weight_loader& load, const std::string& name, model_config& config)
      : clip_text_tower(load, name, clip_sizes(config), config) {}

  index_type features() const { return words.cols(); }

  // What each text is pooled to, (texts, features). Ids must be words of the vocabulary, and texts no
  // longer than the positions. What stands after the end token is not computed: no token before it
  // sees it.
  matrix pooled(std::span<const token_ids> texts) const {
    std::vector<row_range> sequences;
    index_type rows = 0;
    for (const token_ids& text : texts) {
      const index_type end = std::max_element(text.begin(), text.end()) - text.begin();
      sequences.push_back({rows, end + 1});
      rows += end + 1;
    }
    matrix x(rows, features());
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (index_type i = 0; i < sequences[t].count; ++i) {
        x.row(sequences[t].begin + i) = words.row(texts[t][at(i)]) + positions.row(i);
      }
    }
    encoder.run(x, sequences, visibility::causal, std::ssize(encoder.layers));
    matrix last(std::ssize(texts), features());
    for (index_type t = 0; t < last.rows(); ++t) {
      last.row(t) = x.row(sequences[at(t)].begin + sequences[at(t)].count - 1);
    }
    return after_layers(last);
  }

 private:
  clip_text_tower(weight_loader& load, const std::string& name, const clip_sizes& s,
                  model_config& config)
      : words(load.table(name + ".embeddings.token_embedding.weight",
                         config.integer("vocab_size", 1, 1 << 20), s.features)),
        positions(load.table(name + ".embeddings.position_embedding.weight",
                             config.integer("max_position_embeddings", 1, 1 << 20), s.features)),
        encoder(load, name + ".encoder", s),
        after_layers(load.layer_norm(name + ".final_layer_norm", s.features, s.epsilon)) {}
};

}  // namespace engine

#endif
