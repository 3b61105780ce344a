// What a config.json says of a model: its tensors, and the sizes that its memory depends on.
#ifndef VQ_PLAN_ARCHITECTURE_MODEL_ARCHITECTURE_HPP
#define VQ_PLAN_ARCHITECTURE_MODEL_ARCHITECTURE_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/io/tensor_info.hpp>
#include <vq/plan/component.hpp>

namespace vq::inline v1 {

// A transformer decoder with a gated MLP and grouped-query attention.
struct decoder_shape {
  index_type hidden = 0;
  index_type layers = 0;  // those that attend to the image included
  index_type heads = 0;
  index_type kv_heads = 0;
  index_type head_dim = 0;
  index_type ffn = 0;
  index_type vocabulary = 0;
  index_type extra_embeddings = 0;  // rows of the table beyond the vocabulary
  index_type longest_context = 0;   // 0: not stated
  bool qkv_bias = false;
  bool output_bias = false;
  bool tied = false;  // the head is the embedding
  std::vector<index_type> cross_attention_layers{};

  index_type self_layers() const noexcept {
    return layers - static_cast<index_type>(cross_attention_layers.size());
  }
};

// A vision transformer.
struct tower_shape {
  index_type hidden = 0;
  index_type layers = 0;
  index_type heads = 0;
  index_type ffn = 0;
  index_type image = 0;  // edge of the image or tile, in pixels; 0: any
  index_type patch = 0;
  bool class_token = false;
  bool class_token_dropped = true;

  index_type grid() const noexcept { return patch == 0 ? 0 : image / patch; }
  index_type sequence() const noexcept { return grid() * grid() + (class_token ? 1 : 0); }
};

// How many tokens an image becomes; plan/visual_tokens.hpp counts them.
enum class image_splitting : std::uint8_t {
  none,            // no decoder, or no image
  fixed,           // one image of fixed size
  any_resolution,  // a base image, and tiles unpadded to the image's shape, with newlines
  cross_tiles,     // tiles that are attended to, not put into the sequence
  dynamic,         // the image's own size, rounded
  tiles,           // the nearest arrangement of tiles, and a thumbnail
  rows_of_tiles,   // the longest edge scaled to whole tiles, and the image as one tile
};

struct visual_token_rule {
  image_splitting splitting = image_splitting::none;
  index_type merge = 1;  // merge x merge patches become one token
  index_type most_tiles = 1;
  bool thumbnail = false;
  index_type fewest_tokens = 4, most_tokens = 16'384;            // dynamic
  std::vector<std::pair<index_type, index_type>> resolutions{};  // any_resolution: height, width
};

struct model_architecture {
  std::string family;  // model_type
  decoder_shape decoder;
  tower_shape tower;
  visual_token_rule images;
  std::vector<tensor_info> tensors;  // as files name them

  model_facts facts() const { return {decoder.cross_attention_layers}; }
  bool has_decoder() const noexcept { return decoder.layers > 0; }
};

inline constexpr bool with_bias = true;
inline constexpr bool without_bias = false;

// The tensors of an architecture, layer by layer.
class tensor_list {
 public:
  explicit tensor_list(dtype type) : type_(type) {}

  void add(std::string name, std::vector<index_type> shape) {
    tensors_.push_back({std::move(name), type_, std::move(shape)});
  }
  // `bias`: with_bias or without_bias.
  void linear(const std::string& name, index_type out, index_type in, bool bias) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  }
  void layer_norm(const std::string& name, index_type size) {
    add(name + ".weight", {size});
    add(name + ".bias", {size});
  }
  void rms_norm(const std::string& name, index_type size) { add(name + ".weight", {size}); }

  std::vector<tensor_info> take() { return std::move(tensors_); }

 private:
  dtype type_;
  std::vector<tensor_info> tensors_;
};

}  // namespace vq::inline v1

#endif
