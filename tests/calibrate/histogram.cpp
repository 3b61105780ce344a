#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include <vq/calibrate/histogram.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

vq::histogram_observer after(const std::vector<float>& x) {
  vq::histogram_observer o;
  REQUIRE(o.observe(view_of(x)) == vq::status::ok);
  return o;
}
vq::histogram of(const std::vector<float>& x) { return after(x).snapshot().value(); }

// The definition, in double: the width is the least power of two, 2^-126 or more, of which 4096
// exceed every magnitude.
void check_against_definition(const std::vector<float>& x) {
  double absmax = 0;
  for (const float value : x) absmax = std::max(absmax, std::abs(static_cast<double>(value)));
  double width = std::ldexp(1.0, -126);
  while (absmax >= 4096 * width) width *= 2;
  std::map<double, double> expected;  // lower edge -> count
  double zeros = 0;
  for (const float value : x) {
    ++expected[std::floor(value / width) * width];
    zeros += value == 0 ? 1 : 0;
  }
  const vq::histogram h = of(x);
  CHECK(h.width == width);
  CHECK(h.zeros == zeros);
  CHECK(h.seen ==
        vq::range{*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end())});
  CHECK(h.total() == static_cast<double>(x.size()));
  for (vq::index_type bin = 0; bin < h.size(); ++bin) {
    const auto found = expected.find(h.edge(bin));
    const double count = found == expected.end() ? 0 : found->second;
    if (h.counts[static_cast<std::size_t>(bin)] != count) {
      FAIL("bin " << bin << " has " << h.counts[static_cast<std::size_t>(bin)] << ", want "
                  << count);
    }
  }
}

}  // namespace

TEST_CASE("histogram_observer: every value lies in its bin", "[calibrate]") {
  check_against_definition(normal_values(10000));
  check_against_definition(wild_values(10000));
  check_against_definition(uniform_values(5000, 0, 6));
  check_against_definition(uniform_values(5000, -7, -2));
  // edges, and the values next to them
  std::vector<float> edges;
  for (int i = -4096; i < 4096; i += 5) {
    const float edge = std::ldexp(static_cast<float>(i), -7);
    for (const float x : {edge, std::nextafter(edge, -64.f), std::nextafter(edge, 64.f)}) {
      edges.push_back(x);
    }
  }
  check_against_definition(edges);
}

TEST_CASE("histogram_observer: batches, order and sharding do not show in a single byte",
          "[calibrate]") {
  for (const auto& x : {wild_values(3000, 7), normal_values(3000, 8)}) {
    const std::string whole = after(x).serialize();
    std::mt19937 bits(4);
    for (int trial = 0; trial < 10; ++trial) {
      std::vector<std::vector<float>> parts(1 + bits() % 7);
      for (const float value : x) parts[bits() % parts.size()].push_back(value);
      std::vector<vq::histogram_observer> shards(parts.size());
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::size_t cut = bits() % (parts[i].size() + 1);
        const std::vector<float> first(parts[i].begin(), parts[i].begin() + static_cast<long>(cut));
        const std::vector<float> second(parts[i].begin() + static_cast<long>(cut), parts[i].end());
        REQUIRE(shards[i].observe(view_of(second)) == vq::status::ok);
        REQUIRE(shards[i].observe(view_of(first)) == vq::status::ok);
      }
      while (shards.size() > 1) {
        std::swap(shards[bits() % shards.size()], shards.back());
        const vq::histogram_observer last = shards.back();
        shards.pop_back();
        REQUIRE(shards[bits() % shards.size()].merge(last) == vq::status::ok);
      }
      CHECK((shards[0].serialize() == whole));
    }
  }
}

TEST_CASE("histogram_observer: merging with itself doubles", "[calibrate]") {
  auto o = after(normal_values(100));
  const double total = o.snapshot()->total();
  REQUIRE(o.merge(o) == vq::status::ok);
  CHECK(o.snapshot()->total() == 2 * total);
}

TEST_CASE(
    "histogram_observer: memory is bounded and at least 2048 bins cover the largest magnitude",
    "[calibrate]") {
  vq::histogram_observer o;
  float scale = 1e-20f;
  for (unsigned batch = 0; batch < 300; ++batch) {
    std::vector<float> x = normal_values(64, batch + 1);
    for (float& value : x) value *= scale;
    REQUIRE(o.observe(view_of(x)) == vq::status::ok);
    scale *= 1.3f;
    const vq::histogram h = o.snapshot().value();
    REQUIRE(h.size() <= vq::histogram_observer::bins);
    REQUIRE(h.width * 2048 <= static_cast<double>(h.seen.absmax()));
    REQUIRE(h.total() == 64 * (batch + 1));
  }
}

TEST_CASE("histogram_observer: degenerate data", "[calibrate]") {
  const vq::histogram zeros = of({0, -0.f, 0});
  CHECK(zeros.seen == vq::range{0, 0});
  CHECK(zeros.zeros == 3);
  CHECK(zeros.size() == 1);
  CHECK(zeros.value(0) == 0);
  CHECK(zeros.sound());

  const vq::histogram constant = of({2.5f, 2.5f});
  CHECK(constant.size() == 1);
  CHECK(constant.value(0) == 2.5f);
  CHECK(constant.total() == 2);

  const float least = std::numeric_limits<float>::denorm_min();
  const vq::histogram tiny = of({least, -least, 0});
  CHECK(tiny.seen == vq::range{-least, least});
  CHECK(tiny.total() == 3);

  const float most = std::numeric_limits<float>::max();
  const vq::histogram huge = of({-most, most, least, 1});
  CHECK(huge.seen == vq::range{-most, most});
  CHECK(huge.total() == 4);
  CHECK(huge.size() == 8192);
  CHECK(huge.value(0) >= -most);
  CHECK(huge.value(8191) <= most);
}

TEST_CASE("histogram_observer: a text whose counts contradict its range is refused",
          "[calibrate]") {
  const std::string text = after({-1, 0, 0, 2}).serialize();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const auto at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return vq::histogram_observer::deserialize(changed.replace(at, from.size(), to));
  };
  CHECK(with("zeros 2", "zeros 1").has_value());
  CHECK(!with("zeros 2", "zeros 3"));
  CHECK(!with("exponent -10", "exponent -9"));
  CHECK(!with("exponent -10", "exponent 99999999999"));
  CHECK(!with("bf800000", "bf000000"));
  CHECK(!with("-1024 3073 1", "-1024 3073 0"));
  CHECK(!with("-1024 3073", "-1025 3073"));
  CHECK(!with("-1024 3073", "-1024 999999999999"));
  CHECK(!with("-1024 3073 1", "-1024 3073 -1"));
}

TEST_CASE("magnitudes: both signs fold onto one side exactly", "[calibrate]") {
  const auto magnitude_of = [](std::vector<float> x) {
    for (float& value : x) value = std::abs(value);
    return of(x);
  };
  for (const auto& x :
       {normal_values(2000), uniform_values(500, -3, -1), uniform_values(500, 2, 5)}) {
    // The largest value decides where the folded bins end; an edge belongs to the bin above.
    const vq::histogram folded = vq::magnitudes(of(x)), direct = magnitude_of(x);
    CHECK(folded.width == direct.width);
    CHECK(folded.total() == direct.total());
    for (vq::index_type bin = 0; bin < direct.size(); ++bin) {
      const auto at = static_cast<vq::index_type>(
          std::lround((direct.edge(bin) - folded.lowest) / folded.width));
      CHECK(folded.counts[static_cast<std::size_t>(at)] ==
            direct.counts[static_cast<std::size_t>(bin)]);
    }
  }
}

TEST_CASE("magnitudes: bins of other collectors, where zero is no edge", "[calibrate]") {
  for (const double lowest : {-0.49, -0.3, -0.7}) {
    const vq::histogram one = vq::magnitudes({lowest, 0.98, {5}, {-0.2f, 0.1f}, 0});
    CHECK(one.size() == 1);
    CHECK(one.total() == 5);
  }
  // centres -1.25, -0.25, 0.75, 1.75: bins 1, 0, 0, 1 of width 1
  const vq::histogram four = vq::magnitudes({-1.75, 1, {1, 2, 4, 8}, {-1.5f, 2}, 0});
  CHECK(four.lowest == 0);
  REQUIRE(four.counts.size() == 3);
  CHECK(four.counts[0] == 6);
  CHECK(four.counts[1] == 9);
  CHECK(four.seen == vq::range{0, 2});
}
