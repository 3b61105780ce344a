// Answers of a model to questions: right or wrong, and what quantization leaves of the right ones.
//
//   vq::answer_matches("A dog.", "dog");                     // true: normalized exact match
//   auto both = vq::compare_answers(right_in_float, right);  // question by question
//   vq::retention(*both);                                    // share of the accuracy that is left
//   both->p_value();                                         // McNemar: does it mean anything?
//
// Exact match, not overlap of substrings: "not a dog" contains "dog". Normalized: lower case, no
// punctuation, no articles, single spaces; the rule of SQuAD (Rajpurkar et al. 2016, arXiv
// 1606.05250). Tokens are compared as they are, the end token included.
#ifndef VQ_ANALYZE_ANSWERS_HPP
#define VQ_ANALYZE_ANSWERS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vq/analyze/classification.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>

namespace vq::inline v1 {

// Words in lower case with single spaces between them; ASCII punctuation and articles are left out.
inline std::string normalized_answer(std::string_view answer) {
  std::string text, word;
  const auto end_word = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") {
      if (!text.empty()) text += ' ';
      text += word;
    }
    word.clear();
  };
  for (const char c : answer) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool letter = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      end_word();
    } else if (letter || beyond_ascii) {
      word += upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  end_word();
  return text;
}

inline bool answer_matches(std::string_view answer, std::string_view expected) {
  return normalized_answer(answer) == normalized_answer(expected);
}

// Teacher forcing: `predicted` is the best token at each position, given the right ones before it.
// All must agree, which is the case exactly where greedy decoding gives this answer.
inline bool answer_matches(std::span<const std::int32_t> predicted,
                           std::span<const std::int32_t> expected) noexcept {
  return std::ranges::equal(predicted, expected);
}

// Share of the questions that are answered right (not 0). Errors: no_data.
inline result<double> exact_match(std::span<const std::uint8_t> right) noexcept {
  if (right.empty()) return status::no_data;
  const auto wrong = std::ranges::count(right, std::uint8_t{0});
  return 1 - static_cast<double>(wrong) / static_cast<double>(right.size());
}

// Two models on the same questions. Errors: size_mismatch.
inline result<paired_outcomes> compare_answers(std::span<const std::uint8_t> first,
                                               std::span<const std::uint8_t> second) noexcept {
  if (first.size() != second.size()) return status::size_mismatch;
  paired_outcomes outcomes;
  for (std::size_t i = 0; i < first.size(); ++i) outcomes.add(first[i] != 0, second[i] != 0);
  return outcomes;
}

// How many of the first model's right answers, by number, the second still gives: accuracy over
// accuracy. 1 where the first has none.
constexpr double retention(const paired_outcomes& outcomes) noexcept {
  const index_type first = outcomes.both + outcomes.only_first;
  const index_type second = outcomes.both + outcomes.only_second;
  return first == 0 ? 1 : static_cast<double>(second) / static_cast<double>(first);
}

}  // namespace vq::inline v1

#endif
