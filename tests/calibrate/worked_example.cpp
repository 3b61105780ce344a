// The numbers and the code of include/vq/calibrate/README.md.
#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

vq::status calibrate(const std::vector<vq::tensor_view<const float, 1>>& batches,
                     vq::affine_param& chosen) {
  // [calibrate]
  vq::histogram_observer seen;
  for (const auto& batch : batches) {
    if (auto s = seen.observe(batch); s != vq::status::ok) return s;
  }
  auto p = vq::estimate_params(vq::uniform<8, vq::asymmetric>{}, seen, vq::mse{});
  // [/calibrate]
  if (!p) return p.error();
  chosen = *p;
  return vq::status::ok;
}

}  // namespace

TEST_CASE("calibrate: the worked example", "[calibrate]") {
  const std::vector<float> first{-1, 2.5f}, second{0, 3};
  vq::minmax_observer ends;
  vq::moving_average_observer average;
  vq::batch_mean_observer mean;
  for (const auto& batch : {view_of(first), view_of(second)}) {
    REQUIRE(ends.observe(batch) == vq::status::ok);
    REQUIRE(average.observe(batch) == vq::status::ok);
    REQUIRE(mean.observe(batch) == vq::status::ok);
  }
  CHECK(ends.estimate().value() == vq::range{-1, 3});
  CHECK(average.estimate().value() == vq::range{-0.99f, 2.505f});
  CHECK(mean.estimate().value() == vq::range{-0.5f, 2.75f});
  using uint8 = vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>;
  CHECK(vq::estimate_params(uint8{}, ends).value() ==
        vq::affine_param{static_cast<float>(4.0 / 255), 64});

  const std::vector<float> x = normal_values(1000000);
  vq::affine_param eight;
  REQUIRE(calibrate({view_of(first), view_of(second)}, eight) == vq::status::ok);
  vq::histogram_observer seen;
  REQUIRE(seen.observe(view_of(x)) == vq::status::ok);
  const vq::uniform<4> four;
  CHECK(7 * vq::estimate_params(four, seen, vq::entropy{})->scale == Approx(3.6).margin(0.1));
  CHECK(7 * vq::estimate_params(four, seen, vq::mse{})->scale == Approx(2.5).margin(0.1));
}
