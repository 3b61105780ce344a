// CLIP in floats against PyTorch's outputs.
#include <string>
#include <vector>

#include "language.hpp"

namespace {

constexpr float tolerance = 1e-4f;  // of the largest value; 1e-3 is promised

std::vector<float> first(std::vector<float> values, std::size_t count) {
  values.resize(count);
  return values;
}

}  // namespace

TEST_CASE("clip: hidden states of every layer are PyTorch's", "[engine]") {
  const auto set = bundled::mosaics();
  const auto clip = bundled::built<engine::clip_model>("clip");
  const auto prepare = bundled::files("clip").images;
  const auto pixels = engine::pixel_rows(set, set.captions().first(1), prepare);
  bundled::require_close(bundled::values(pixels), bundled::golden("clip", "pixel_values.0"), 1e-6f);
  for (engine::index_type layer = 0; layer <= clip.vision.layers(); ++layer) {
    const std::string name = "mosaic0.vision_hidden_states." + std::to_string(layer);
    CAPTURE(name);
    bundled::require_close(bundled::values(clip.vision.hidden_state(pixels, layer)),
                           bundled::golden("clip", name.c_str()), tolerance);
  }
}

TEST_CASE("clip: embeddings and logits of mosaics and captions are PyTorch's", "[engine]") {
  const auto set = bundled::mosaics();
  const auto clip = bundled::built<engine::clip_model>("clip");
  const auto count = engine::at(bundled::image_count);
  const auto items = set.captions().first(count);
  const auto pixels = engine::pixel_rows(set, items, bundled::files("clip").images);
  std::vector<engine::token_ids> texts;
  for (const auto& item : items) texts.push_back(item.caption);

  bundled::require_close(bundled::values(clip.raw_image_embeddings(pixels)),
                         first(bundled::golden("clip", "image_embeds_raw"), count * 128),
                         tolerance);
  bundled::require_close(bundled::values(clip.raw_text_embeddings(texts)),
                         first(bundled::golden("clip", "text_embeds_raw"), count * 128), tolerance);
  const auto images = clip.image_embeddings(pixels);
  const auto captions = clip.text_embeddings(texts);
  bundled::require_close(bundled::values(images),
                         first(bundled::golden("clip", "image_embeds"), count * 128), tolerance);
  bundled::require_close(bundled::values(captions),
                         first(bundled::golden("clip", "text_embeds"), count * 128), tolerance);
  // Of all 64 in the file.
  const auto all = bundled::golden("clip", "logits_per_image");
  const bundled::matrix expected =
      Eigen::Map<const bundled::matrix>(all.data(), 64, 64).topLeftCorner(count, count);
  const bundled::matrix logits = clip.logit_scale * images * captions.transpose();
  bundled::require_close(bundled::values(logits), bundled::values(expected), tolerance);
}
