// Histograms counted by registers are those of the reference.
#include <limits>
#include <random>
#include <vector>

#include <vq/calibrate/histogram.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"

TEST_CASE("histogram: the counts of the reference for every length", "[simd]") {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> x(1200);
  for (std::size_t i = 0; i < x.size(); ++i) {
    constexpr float small[] = {0.f, -0.f, 1e-42f, -1e-42f, 1e-38f, -1e-38f};
    x[i] = i % 3 == 0 ? small[random() % std::size(small)] : normal(random);
  }
  for (const float scale : {1.f, 1e30f, 1e-30f}) {
    vq::histogram_observer all, all_wide;
    std::vector<float> scaled = x;
    for (float& v : scaled) v *= scale;
    for (vq::index_type n = 0; n <= 2 * 64 + 3; ++n) {
      const vq::tensor_view<const float, 1> view{scaled.data() + n, {n}};
      REQUIRE(all.observe(view) == vq::status::ok);
      REQUIRE(all_wide.observe(vq::simd::native, view) == vq::status::ok);
      REQUIRE(all == all_wide);
    }
    const vq::tensor_view<const float, 1> view{scaled.data(), {1200}};
    REQUIRE(all.observe(view) == vq::status::ok);
    REQUIRE(all_wide.observe(vq::simd::native, view) == vq::status::ok);
    REQUIRE(all == all_wide);
  }
}

// The range of all batches sets the width of the bins, so a product can lose the sign of its value.
TEST_CASE("histogram: what underflows below zero stays below zero", "[simd]") {
  const std::vector<float> x{1e38f, -1e-45f, -1e-20f, 1e-45f, 0.f, -0.f};
  const vq::tensor_view<const float, 1> view{x.data(), {6}};
  vq::histogram_observer wide;
  REQUIRE(wide.observe(vq::simd::native, view) == vq::status::ok);
  const auto h = wide.snapshot();
  REQUIRE(h);
  REQUIRE(h->counts.front() == 2);
  REQUIRE(h->zeros == 2);
  REQUIRE(h->lowest < 0);
}
