// The collectors that follow other libraries, where their golden vectors do not reach.
#include <cmath>
#include <limits>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

constexpr float most = std::numeric_limits<float>::max();
using values = vq::onnx_histogram_observer::values;

}  // namespace

TEST_CASE("onnx_histogram_observer, torch_histogram_observer: wrong values change nothing",
          "[calibrate]") {
  const std::vector<float> wrong{1, std::numeric_limits<float>::quiet_NaN()};
  vq::torch_histogram_observer torch;
  CHECK(torch.observe(view_of(wrong)) == vq::status::not_finite);
  CHECK(torch.snapshot().error() == vq::status::no_data);
  CHECK(torch.observe(view_of({-most, most})) == vq::status::overflow);
  CHECK(torch.snapshot().error() == vq::status::no_data);
  for (const auto kind : {values::real, values::magnitudes}) {
    vq::onnx_histogram_observer onnx(2048, kind);
    CHECK(onnx.observe(view_of(wrong)) == vq::status::not_finite);
    CHECK(onnx.observe(view_of({most})) == vq::status::overflow);
    CHECK(onnx.snapshot().error() == vq::status::no_data);
    CHECK(vq::onnx_percentile{}.estimate(onnx).error() == vq::status::no_data);
    CHECK(vq::onnx_entropy{}.estimate(onnx).error() == vq::status::no_data);
    CHECK(vq::onnx_distribution{}.estimate(onnx).error() == vq::status::no_data);
  }
}

TEST_CASE("onnx_histogram_observer: the number of bins ends somewhere", "[calibrate]") {
  for (const auto kind : {values::real, values::magnitudes}) {
    vq::onnx_histogram_observer o(2048, kind);
    REQUIRE(o.observe(view_of({-1e-3f, 1e-4f})) == vq::status::ok);
    CHECK(o.observe(view_of({1e6f})) == vq::status::overflow);
    CHECK(o.counts().size() == 2048);
    CHECK(o.seen() == vq::range{-1e-3f, 1e-4f});
    REQUIRE(o.observe(view_of({1e-2f})) == vq::status::ok);
    CHECK(o.counts().size() > 2048);
  }
}

TEST_CASE("onnx_percentile: beyond 0..100 is refused", "[calibrate]") {
  vq::onnx_histogram_observer o;
  REQUIRE(o.observe(view_of({1, 2})) == vq::status::ok);
  CHECK(vq::onnx_percentile{-1}.estimate(o).error() == vq::status::bad_argument);
  CHECK(vq::onnx_percentile{101}.estimate(o).error() == vq::status::bad_argument);
  CHECK(vq::onnx_distribution{0}.estimate(o).error() == vq::status::bad_argument);
}

TEST_CASE("onnx_entropy: as many quantized bins as bins leave one candidate, the whole range",
          "[calibrate]") {
  const std::vector<float> x = normal_values(20000);
  vq::onnx_histogram_observer few(128), many(2048);
  REQUIRE(few.observe(view_of(x)) == vq::status::ok);
  REQUIRE(many.observe(view_of(x)) == vq::status::ok);
  CHECK(vq::onnx_entropy{}.candidates(few.counts()).size() == 1);
  CHECK(vq::onnx_entropy{}.estimate(few).value() == few.seen());
  CHECK(vq::onnx_entropy{}.candidates(many.counts()).size() == 961);
  CHECK(vq::onnx_entropy{256}.estimate(few).error() == vq::status::bad_argument);
}

TEST_CASE("torch_histogram_observer: the count is kept when the range grows", "[calibrate]") {
  vq::torch_histogram_observer o;
  for (unsigned batch = 1; batch <= 20; ++batch) {
    std::vector<float> x = normal_values(500, batch);
    for (float& value : x) value *= static_cast<float>(batch);
    REQUIRE(o.observe(view_of(x)) == vq::status::ok);
    CHECK(o.snapshot()->total() == Approx(500 * batch).epsilon(1e-5));
  }
}

TEST_CASE("torch_histogram_observer: constants of any size, and what follows them", "[calibrate]") {
  for (const float constant : {0.f, 2.5f, -3e7f, 1e-40f, 1e30f}) {
    vq::torch_histogram_observer o;
    REQUIRE(o.observe(view_of({constant, constant})) == vq::status::ok);
    const vq::histogram h = o.snapshot().value();
    CHECK(h.total() == 2);
    CHECK(vq::torch_l2{}.estimate(h, vq::uniform<8>{}).value() == vq::range{constant, constant});
    REQUIRE(o.observe(view_of({constant - 1e6f, constant + 1e31f})) == vq::status::ok);
    CHECK(o.snapshot()->total() == 4);
  }
}

TEST_CASE("torch_l2: an outlier is cut off; nothing seen is no_data", "[calibrate]") {
  std::vector<float> x = normal_values(1000000);
  x[3] = 20;
  vq::histogram_observer o;
  REQUIRE(o.observe(view_of(x)) == vq::status::ok);
  CHECK(vq::torch_l2{}.estimate(*o.snapshot(), vq::uniform<8>{})->highest < 10);
  CHECK(vq::torch_l2{}.estimate(vq::histogram{}, vq::uniform<8>{}).error() == vq::status::no_data);
  CHECK(vq::torch_l2{-1}.estimate(*o.snapshot(), vq::uniform<8>{}).error() ==
        vq::status::bad_argument);
}
