#include <cstdint>
#include <vector>

#include <vq/analyze/answers.hpp>

#include "catch.hpp"

using flags = std::vector<std::uint8_t>;

TEST_CASE("answers: case, punctuation, articles and spaces do not matter", "[analyze]") {
  CHECK(vq::normalized_answer("  The  dog,\tis A cat. ") == "dog is cat");
  CHECK(vq::normalized_answer("another theory") == "another theory");
  CHECK(vq::normalized_answer("").empty());
  CHECK(vq::normalized_answer("the").empty());
  CHECK(vq::normalized_answer("T-shirt 42") == "tshirt 42");
  CHECK(vq::normalized_answer("\xc3\xa9t\xc3\xa9") == "\xc3\xa9t\xc3\xa9");  // UTF-8 stays
  CHECK(vq::answer_matches("A dog.", "dog"));
  CHECK_FALSE(vq::answer_matches("not a dog", "dog"));
  CHECK_FALSE(vq::answer_matches("dogs", "dog"));
}

TEST_CASE("answers: every token must be right, the end included", "[analyze]") {
  using tokens = std::vector<std::int32_t>;
  CHECK(vq::answer_matches(tokens{5, 2}, tokens{5, 2}));
  CHECK_FALSE(vq::answer_matches(tokens{5, 6}, tokens{5, 2}));
  CHECK_FALSE(vq::answer_matches(tokens{5}, tokens{5, 2}));
}

TEST_CASE("answers: exact match and what is left of it", "[analyze]") {
  const flags first{1, 1, 1, 1, 0}, second{1, 1, 0, 0, 1};
  CHECK(vq::exact_match(first).value() == 0.8);
  CHECK(vq::exact_match(flags{}).error() == vq::status::no_data);
  const auto both = vq::compare_answers(first, second).value();
  CHECK(both.both == 2);
  CHECK(both.only_first == 2);
  CHECK(both.only_second == 1);
  CHECK(both.neither == 0);
  CHECK(vq::retention(both) == 0.75);
  CHECK(both.p_value() == 1);
  CHECK(vq::retention(vq::paired_outcomes{}) == 1);
  CHECK(vq::compare_answers(first, flags{1}).error() == vq::status::size_mismatch);
}
