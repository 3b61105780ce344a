#include <cstring>
#include <memory>
#include <string>

#include <vq/core/result.hpp>

#include "catch.hpp"

namespace {

constexpr vq::result<int> half_of(int x) {
  if (x % 2 != 0) return vq::status::bad_argument;
  return x / 2;
}

}  // namespace

TEST_CASE("result: holds a value or a status, also in constant expressions", "[core]") {
  STATIC_REQUIRE(half_of(6).has_value());
  STATIC_REQUIRE(*half_of(6) == 3);
  STATIC_REQUIRE(!half_of(7));
  STATIC_REQUIRE(half_of(7).error() == vq::status::bad_argument);
}

TEST_CASE("result: moves what it owns, exactly once", "[core]") {
  const auto counted = std::make_shared<int>(1);
  {
    vq::result<std::shared_ptr<int>, std::string> first(counted);
    CHECK(counted.use_count() == 2);
    auto second = std::move(first);
    CHECK(counted.use_count() == 2);
    const auto third = second;
    CHECK(counted.use_count() == 3);
  }
  CHECK(counted.use_count() == 1);
}

TEST_CASE("result: an error may carry a sentence", "[core]") {
  const vq::result<int, std::string> failed(std::string("no such file"));
  const auto copy = failed;
  CHECK(copy.error() == "no such file");
}

TEST_CASE("status: every value has a sentence of its own", "[core]") {
  for (int i = 0; i <= static_cast<int>(vq::status::bad_format); ++i) {
    const char* sentence = vq::describe(static_cast<vq::status>(i));
    CHECK(std::strcmp(sentence, "unknown status") != 0);
    for (int j = 0; j < i; ++j) {
      CHECK(std::strcmp(sentence, vq::describe(static_cast<vq::status>(j))) != 0);
    }
  }
}
