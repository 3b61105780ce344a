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

#endif
