// LLaVA in floats against PyTorch's outputs; its cache of keys and values; its vocabulary.
#include <algorithm>
#include <span>
#include <vector>

#include <vq/analyze/classification.hpp>

#include "engine/language/vocabulary.hpp"
#include "language.hpp"

namespace {

constexpr float tolerance = 1e-4f;  // of the largest value; 1e-3 is promised

using engine::index_type;
using engine::matrix;
using engine::row_range;

matrix logits_of_all(const engine::llava_model& llava, const matrix& x) {
  const row_range all{0, x.rows()};
  return llava.decoder.logits(llava.decoder.forward(x, {&all, 1}));
}

}  // namespace

TEST_CASE("llava: vision state, image features and prompt logits are PyTorch's", "[engine]") {
  const auto set = bundled::mosaics();
  const auto llava = bundled::built<engine::llava_model>("llava");
  const auto first = set.questions().first(1);
  const auto pixels = engine::pixel_rows(set, first, bundled::files("llava").images);
  bundled::require_close(bundled::values(pixels), bundled::golden("llava", "pixel_values.0"),
                         1e-6f);
  const auto state = llava.vision_features(pixels);
  bundled::require_close(bundled::values(state),
                         bundled::golden("llava", "item0.vision_hidden_state_minus_2"), tolerance);
  const auto features = llava.connect(state);
  bundled::require_close(bundled::values(features),
                         bundled::golden("llava", "item0.image_features"), tolerance);
  const auto logits = logits_of_all(llava, llava.embed(first[0].prompt, features));
  bundled::require_close(bundled::values(logits), bundled::golden("llava", "item0.prompt_logits"),
                         tolerance);
}

TEST_CASE("llava: logits of the first answer token are PyTorch's", "[engine]") {
  const auto set = bundled::mosaics();
  const auto llava = bundled::built<engine::llava_model>("llava");
  constexpr index_type count = std::min<index_type>(32, bundled::image_count);
  const auto items = set.questions().first(engine::at(count));
  const auto pixels = engine::pixel_rows(set, items, bundled::files("llava").images);
  const auto features = llava.image_features(pixels);
  matrix logits(count, llava.decoder.vocabulary());
  for (index_type i = 0; i < count; ++i) {
    const matrix image = features.middleRows(i * 64, 64);
    logits.row(i) =
        logits_of_all(llava, llava.embed(items[engine::at(i)].prompt, image)).bottomRows(1);
  }
  auto expected = bundled::golden("llava", "first_answer_logits");
  expected.resize(engine::at(logits.size()));
  bundled::require_close(bundled::values(logits), expected, tolerance);
}

TEST_CASE("llava: token by token with the cache is the same as all at once", "[engine]") {
  const auto set = bundled::mosaics();
  const auto llava = bundled::built<engine::llava_model>("llava");
  const auto& question = set.questions()[0];
  const auto pixels =
      engine::pixel_rows(set, set.questions().first(1), bundled::files("llava").images);
  const matrix x = llava.embed(question.prompt, llava.image_features(pixels));
  const matrix all_at_once = logits_of_all(llava, x);

  auto cache = llava.decoder.cache();
  matrix steps(x.rows(), llava.decoder.vocabulary());
  // The first part at once, then one row at a time.
  for (index_type begin = 0; begin < x.rows();) {
    const row_range part{0, begin == 0 ? 40 : 1};
    steps.middleRows(begin, part.count) = llava.decoder.logits(
        llava.decoder.forward(x.middleRows(begin, part.count), {&part, 1}, {&cache, 1}));
    begin += part.count;
    REQUIRE(cache.length == begin);
  }
  bundled::require_close(bundled::values(steps), bundled::values(all_at_once), 1e-5f);
}

TEST_CASE("llava: sequences that share a product do not see each other", "[engine]") {
  const auto llava = bundled::built<engine::llava_model>("llava");
  const engine::token_ids one{1, 10, 7, 54, 37}, two{1, 9, 7};
  matrix both(8, llava.decoder.features());
  both << llava.decoder.embed(one), llava.decoder.embed(two);
  const row_range parts[] = {{0, 5}, {5, 3}};
  const matrix logits = llava.decoder.logits(llava.decoder.forward(both, parts));
  const matrix first = logits.topRows(5), second = logits.bottomRows(3);
  bundled::require_close(bundled::values(first),
                         bundled::values(logits_of_all(llava, llava.decoder.embed(one))), 1e-5f);
  bundled::require_close(bundled::values(second),
                         bundled::values(logits_of_all(llava, llava.decoder.embed(two))), 1e-5f);
}

TEST_CASE("llava: answers in words", "[engine]") {
  const auto set = bundled::mosaics();
  const auto llava = bundled::built<engine::llava_model>("llava");
  const auto words =
      bundled::require(engine::vocabulary::open(bundled::folder() / "llava/vocab.json"));
  const auto& question = set.questions()[0];
  const auto ids = bundled::require(words.encode("what is bottom right ? ASSISTANT :"));
  REQUIRE(engine::token_ids(question.prompt.end() - 7, question.prompt.end()) == ids);
  const auto pixels =
      engine::pixel_rows(set, set.questions().first(1), bundled::files("llava").images);
  // PyTorch's logits say "airplane" too, which is wrong.
  const auto logits = bundled::golden("llava", "first_answer_logits");
  const auto answer = llava.answer(question.prompt, llava.image_features(pixels), 24);
  CHECK(answer.front() == vq::argmax(std::span(logits).first(64)));
  CHECK(words.decode(answer) == "airplane </s>");
  CHECK(llava.answer(question.prompt, llava.image_features(pixels), 1).size() == 1);
  CHECK(words.encode("what is a zebra ?").error().message == "the vocabulary has no word 'zebra'");
}
