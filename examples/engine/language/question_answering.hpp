// Asks LLaVA the questions of a set, teacher-forced: with the right answer before it, every answer
// token must be the best. That is the case exactly where greedy decoding gives the answer, and takes
// one pass for a question.
//
//   const auto questions = set.questions();
//   auto features = vision_features(*llava, set, questions, images, run, step);  // once per tower
//   auto answers = answer_questions(*llava, questions, features, run, step);
//   vq::exact_match(answers.right);
#ifndef ENGINE_LANGUAGE_QUESTION_ANSWERING_HPP
#define ENGINE_LANGUAGE_QUESTION_ANSWERING_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <vq/analyze/answers.hpp>

#include "engine/language/llava_model.hpp"
#include "engine/language/mosaic_set.hpp"
#include "engine/parallel.hpp"

namespace engine {

// Questions that share matrix products.
inline constexpr index_type questions_at_once = 8;

struct given_answers {
  std::vector<std::uint8_t> right;  // per question
  matrix logits;                    // (all answer tokens, vocabulary)
};

// What would make a question senseless to this model: words beyond its vocabulary or positions, more
// or fewer places for patches than there are.
inline std::optional<vq::failure> check_questions(const llava_model& llava, const mosaic_set& set) {
  const auto wrong = [](const char* rule) {
    return vq::failure{vq::status::bad_argument,
                       vq::sentence("the questions do not fit the model: ", rule)};
  };
  if (set.side() != llava.vision.image_size) return wrong("images of another size");
  for (const mosaic_question& q : set.questions()) {
    for (const token_ids* ids : {&q.prompt, &q.answer}) {
      for (const std::int32_t id : *ids) {
        if (id < 0 || id >= llava.decoder.vocabulary()) return wrong("a word has no embedding");
      }
    }
    if (std::ssize(q.prompt) + std::ssize(q.answer) > llava.decoder.positions() + 1) {
      return wrong("one is longer than the positions");
    }
    if (std::ranges::count(q.prompt, llava.image_token) != llava.vision.patches()) {
      return wrong("not as many image tokens as patches");
    }
  }
  return std::nullopt;
}

// (questions * patches, vision features); step() after each question, from any thread.
template <class Step>
matrix vision_features(const llava_model& llava, const mosaic_set& set,
                       std::span<const mosaic_question> questions, const preprocessing& prepare,
                       const parallel_for& run, Step step) {
  const index_type patches = llava.vision.patches(), count = std::ssize(questions);
  matrix all(count * patches, llava.vision.features());
  run((count + questions_at_once - 1) / questions_at_once, [&](index_type batch, index_type) {
    const index_type begin = batch * questions_at_once;
    const auto items = questions.subspan(at(begin), at(std::min(questions_at_once, count - begin)));
    all.middleRows(begin * patches, std::ssize(items) * patches) =
        llava.vision_features(pixel_rows(set, items, prepare));
    for (std::size_t i = 0; i < items.size(); ++i) step();
  });
  return all;
}

// Rows of `image` are the patches of all questions, rows of `logits` belong to their answer tokens.
inline void answer_batch(const llava_model& llava, std::span<const mosaic_question> questions,
                         const matrix& image, std::uint8_t* right,
                         Eigen::Ref<matrix, 0, Eigen::OuterStride<>> logits) {
  std::vector<row_range> sequences;
  token_ids ids;
  std::vector<index_type> asked;  // rows that predict an answer token
  for (const mosaic_question& q : questions) {
    const auto begin = std::ssize(ids);
    ids.insert(ids.end(), q.prompt.begin(), q.prompt.end());
    ids.insert(ids.end(), q.answer.begin(), q.answer.end() - 1);
    sequences.push_back({begin, std::ssize(ids) - begin});
    for (index_type i = 0; i < std::ssize(q.answer); ++i) {
      asked.push_back(begin + std::ssize(q.prompt) - 1 + i);
    }
  }
  const matrix state = llava.decoder.forward(llava.embed(ids, image), sequences);
  matrix chosen(std::ssize(asked), state.cols());
  for (index_type i = 0; i < chosen.rows(); ++i) chosen.row(i) = state.row(asked[at(i)]);
  logits = llava.decoder.logits(chosen);
  index_type row = 0;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    token_ids best;
    for (std::size_t i = 0; i < questions[q].answer.size(); ++i, ++row) {
      const std::span<const float> scores(logits.row(row).data(), at(logits.cols()));
      best.push_back(static_cast<std::int32_t>(vq::argmax(scores)));
    }
    right[q] = vq::answer_matches(best, questions[q].answer) ? 1 : 0;
  }
}

// `features`: those of vision_features(); step() after each question, from any thread.
template <class Step>
given_answers answer_questions(const llava_model& llava, std::span<const mosaic_question> questions,
                               const matrix& features, const parallel_for& run, Step step) {
  const index_type patches = llava.vision.patches(), count = std::ssize(questions);
  std::vector<index_type> first_token{0};
  for (const auto& q : questions) first_token.push_back(first_token.back() + std::ssize(q.answer));
  given_answers given{std::vector<std::uint8_t>(questions.size()),
                      matrix(first_token.back(), llava.decoder.vocabulary())};
  run((count + questions_at_once - 1) / questions_at_once, [&](index_type batch, index_type) {
    const index_type begin = batch * questions_at_once;
    const auto items = questions.subspan(at(begin), at(std::min(questions_at_once, count - begin)));
    const auto size = std::ssize(items);
    const matrix image = llava.connect(features.middleRows(begin * patches, size * patches));
    const index_type tokens = first_token[at(begin)];
    answer_batch(llava, items, image, given.right.data() + begin,
                 given.logits.middleRows(tokens, first_token[at(begin + size)] - tokens));
    for (std::size_t i = 0; i < items.size(); ++i) step();
  });
  return given;
}

}  // namespace engine

#endif
