// Selects Catch2 2.13 (Debian 12, Ubuntu 22.04) or Catch2 3, whichever the include path offers.
// Tests write `#include "catch.hpp"` and use the vocabulary that both have: TEST_CASE, SECTION,
// REQUIRE, CHECK, STATIC_REQUIRE, CAPTURE, INFO, GENERATE, TEMPLATE_TEST_CASE and Approx.
#ifndef VQ_TESTS_CATCH_HPP
#define VQ_TESTS_CATCH_HPP

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VQ_SANITIZED
#endif
#endif

// How many of `count` random cases a test tries: fewer where sanitizers look at every access, which
// takes 40 times as long.
constexpr int random_cases(int count) {
#if defined(VQ_SANITIZED)
  return count / 4;
#else
  return count;
#endif
}

#endif
