// Visual tokens of published models.
#include <vq/plan/visual_tokens.hpp>

#include "catch.hpp"
#include "plan/published.hpp"

namespace {

vq::visual_tokens count(const char* model, vq::index_type width, vq::index_type height) {
  return vq::count_visual_tokens(published::model(model), {width, height});
}

}  // namespace

TEST_CASE("visual_tokens: a fixed number whatever the image", "[plan]") {
  for (const vq::index_type edge : {1, 336, 5000}) {
    CHECK(count("llava-1.5-7b", edge, 100).sequence == 576);
    CHECK(count("paligemma-3b-224", edge, 100).sequence == 256);
    CHECK(count("llama-3.2-11b-vision", edge, 100).sequence == 0);
    CHECK(count("llama-3.2-11b-vision", edge, 100).cross == 6404);
    CHECK(count("llama-3.2-11b-vision", edge, 100).tower_sequence == 6432);
  }
  CHECK(count("llava-1.5-7b", 100, 100).tower_sequence == 577);
  CHECK(count("clip-vit-large-patch14", 100, 100).sequence == 0);
  auto larger = published::config("paligemma-3b-224");
  larger["vision_config"]["image_size"] = 448;
  CHECK(vq::count_visual_tokens(*vq::read_architecture(larger, "f"), {1, 1}).sequence == 1024);
  larger["vision_config"]["image_size"] = 896;
  CHECK(vq::count_visual_tokens(*vq::read_architecture(larger, "f"), {1, 1}).sequence == 4096);
}

TEST_CASE("visual_tokens: tiles unpadded to the image's shape", "[plan]") {
  const auto tokens = [](vq::index_type width, vq::index_type height) {
    return count("llava-1.6-mistral-7b", width, height).sequence;
  };
  CHECK(tokens(672, 672) == 576 + 48 * 49);  // the maximum
  CHECK(tokens(2000, 2000) == 576 + 48 * 49);
  // 336 x 672 is tried first: of 24 rows of 48 the middle 24 columns are the image.
  CHECK(tokens(336, 336) == 576 + 24 * 24 + 24);
  CHECK(tokens(672, 336) == 576 + 24 * 48 + 24);
  CHECK(tokens(336, 672) == 576 + 48 * 24 + 48);
  CHECK(tokens(1008, 336) == 576 + 24 * 72 + 24);
  // 4:3 in 672 x 672: 48 * 3 / 4 = 36 rows.
  CHECK(tokens(800, 600) == 576 + 36 * 48 + 36);
  CHECK(count("llava-1.6-mistral-7b", 800, 600).tower_batch == 5);
  for (const vq::index_type width : {1, 10, 300, 333, 1000, 4000}) {
    for (const vq::index_type height : {1, 17, 335, 900, 4000})
      CHECK(tokens(width, height) <= 2928);
  }
}

TEST_CASE("visual_tokens: OneVision scales large arrangements to those of nine tiles", "[plan]") {
  // 36 tiles of 27 x 27: 162 x 162, half of that along each edge.
  CHECK(count("llava-onevision-7b", 2304, 2304).sequence == 7290 + 81);
  CHECK(count("llava-onevision-7b", 384, 384).sequence == 729 + 27 * 27 + 27);
  CHECK(count("llava-onevision-7b", 2304, 2304).tower_batch == 37);
}

TEST_CASE("visual_tokens: the image's own size, rounded to 28 pixels", "[plan]") {
  CHECK(count("qwen2.5-vl-7b", 1024, 1024).sequence == 37 * 37);
  CHECK(count("qwen2.5-vl-7b", 1024, 1024).tower_sequence == 74 * 74);
  CHECK(count("qwen2.5-vl-7b", 280, 56).sequence == 20);
  CHECK(count("qwen2.5-vl-7b", 28, 28).sequence == 4);      // at least four
  CHECK(count("qwen2.5-vl-7b", 42, 84).sequence == 2 * 3);  // 1.5 becomes 2
  CHECK(count("qwen2.5-vl-7b", 70, 84).sequence == 2 * 3);  // 2.5 becomes 2
  CHECK(count("qwen2.5-vl-7b", 28 * 128, 28 * 128).sequence == 16'384);
  CHECK(count("qwen2.5-vl-7b", 28 * 256, 28 * 256).sequence == 16'384);  // at most
}

TEST_CASE("visual_tokens: tiles in the nearest arrangement, and a thumbnail", "[plan]") {
  CHECK(count("internvl2.5-8b", 448, 448).sequence == 256);  // one tile has no thumbnail
  CHECK(count("internvl2.5-8b", 448 * 4, 448 * 3).sequence == 13 * 256);
  CHECK(count("internvl2.5-8b", 1792, 1344).tower_batch == 13);
  CHECK(count("internvl2.5-8b", 896, 448).sequence == 3 * 256);
  // 1:1 has 1, 4 and 9 tiles: the larger one where the image fills half of it.
  CHECK(count("internvl2.5-8b", 1344, 1344).sequence == 10 * 256);
  CHECK(count("internvl2.5-8b", 700, 700).sequence == 5 * 256);
}

TEST_CASE("visual_tokens: rows of tiles and the whole image", "[plan]") {
  // Idefics3-8B: tiles of 364, 26 x 26 patches of which 2 x 2 become a token.
  const nlohmann::json config = {{"model_type", "idefics3"},
                                 {"scale_factor", 2},
                                 {"text_config", {{"model_type", "llama"}, {"vocab_size", 128259}}},
                                 {"vision_config",
                                  {{"hidden_size", 1152},
                                   {"image_size", 364},
                                   {"patch_size", 14},
                                   {"num_hidden_layers", 27},
                                   {"num_attention_heads", 16},
                                   {"intermediate_size", 4304}}}};
  const auto model = vq::read_architecture(config, "f");
  REQUIRE(model);
  CHECK(vq::count_visual_tokens(*model, {1456, 1456}).sequence == 17 * 169);
  CHECK(vq::count_visual_tokens(*model, {1456, 364}).sequence == 5 * 169);
  CHECK(vq::count_visual_tokens(*model, {100, 50}).sequence == 9 * 169);  // scaled up
}
