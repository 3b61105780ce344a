#include <algorithm>
#include <limits>
#include <string>
#include <tuple>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

using per_row = vq::sliced_observer<vq::moving_average_observer, vq::per_channel<0>>;

template <class O>
O after(std::initializer_list<std::vector<float>> batches) {
  O o;
  for (const auto& batch : batches) REQUIRE(o.observe(view_of(batch)) == vq::status::ok);
  return o;
}

}  // namespace

TEMPLATE_TEST_CASE("observers: nothing seen is no_data, and an empty batch changes nothing",
                   "[calibrate]", vq::minmax_observer, vq::moving_average_observer,
                   vq::batch_mean_observer, vq::histogram_observer) {
  TestType o;
  CHECK(o.estimate().error() == vq::status::no_data);
  CHECK(o.observe(view_of({})) == vq::status::ok);
  CHECK(o.estimate().error() == vq::status::no_data);
  REQUIRE(o.merge(TestType()) == vq::status::ok);
  CHECK(o.estimate().error() == vq::status::no_data);

  o = after<TestType>({{1, 2, 3}});
  const TestType before = o;
  CHECK(o.observe(view_of({})) == vq::status::ok);
  CHECK(o.merge(TestType()) == vq::status::ok);
  CHECK(o == before);
  TestType empty;
  CHECK(empty.merge(before) == vq::status::ok);
  CHECK(empty == before);
}

TEMPLATE_TEST_CASE("observers: NaN and infinity are refused and leave the state as it was",
                   "[calibrate]", vq::minmax_observer, vq::moving_average_observer,
                   vq::batch_mean_observer, vq::histogram_observer) {
  TestType o = after<TestType>({{-1, 2}, {-3, 1}});
  const TestType before = o;
  for (const float wrong : {not_a_number, -not_a_number, infinity, -infinity}) {
    for (std::size_t at : {0u, 7u, 300u}) {
      std::vector<float> batch = normal_values(301);
      for (float& x : batch) x *= 1000;
      batch[at] = wrong;
      CHECK(o.observe(view_of(batch)) == vq::status::not_finite);
      CHECK(o == before);
    }
  }
}

TEMPLATE_TEST_CASE("observers: strides and accessors do not matter", "[calibrate]",
                   vq::minmax_observer, vq::moving_average_observer, vq::batch_mean_observer,
                   vq::histogram_observer) {
  const std::vector<float> x = normal_values(6 * 50);
  TestType plain, strided;
  REQUIRE(plain.observe(vq::tensor_view<const float, 2>(x.data(), {50, 6})) == vq::status::ok);
  REQUIRE(strided.observe(vq::tensor_view<const float, 2>(x.data(), {6, 50}, {1, 6})) ==
          vq::status::ok);
  CHECK(plain == strided);
}

TEMPLATE_TEST_CASE("observers: the text of a state gives the state back", "[calibrate]",
                   vq::minmax_observer, vq::moving_average_observer, vq::batch_mean_observer,
                   vq::histogram_observer) {
  for (const TestType& o :
       {TestType(), after<TestType>({{0, 0}}), after<TestType>({{-1, 2.7f}, {0.1f, 3}, {-5, -4}}),
        after<TestType>({wild_values(1000)}), after<TestType>({{-3.4e38f, 3.4e38f}, {1e-45f}})}) {
    const std::string text = o.serialize();
    const auto copy = TestType::deserialize(text);
    REQUIRE(copy.has_value());
    CHECK(*copy == o);
    CHECK((copy->serialize() == text));

    std::string windows;
    for (const char c : text) windows += c == '\n' ? "\r\n" : std::string(1, c);
    CHECK(TestType::deserialize(windows).has_value());
  }
}

TEMPLATE_TEST_CASE("observers: damaged text is refused or gives a sound state", "[calibrate]",
                   vq::minmax_observer, vq::moving_average_observer, vq::batch_mean_observer,
                   vq::histogram_observer) {
  const std::string text = after<TestType>({{-1, 2.5f}, {0, 3}, {0.5f}}).serialize();
  CHECK(TestType::deserialize("").error() == vq::status::bad_format);
  CHECK(TestType::deserialize(text + "7").error() == vq::status::bad_format);
  for (std::size_t length = 0; length + 2 < text.size(); length += length < 150 ? 1 : 61) {
    const auto cut = TestType::deserialize(text.substr(0, length));
    // A number that lost digits at the end may still be one.
    if (cut) CHECK(cut->estimate().has_value());
  }
  for (std::size_t at = 0; at < text.size(); at += at < 150 ? 1 : 61) {
    for (const char c : {'0', '9', 'f', '-', ' ', '\n', 'x', '\xff'}) {
      std::string damaged = text;
      damaged[at] = c;
      const auto o = TestType::deserialize(damaged);
      if (!o) continue;
      const auto r = o->estimate();
      CHECK((!r || (r->lowest <= r->highest && r->absmax() < infinity)));
      CHECK(TestType::deserialize(o->serialize()).has_value());
    }
  }
}

TEST_CASE("observers: a text of another kind is refused", "[calibrate]") {
  CHECK(!vq::minmax_observer::deserialize(vq::histogram_observer().serialize()));
  CHECK(!vq::histogram_observer::deserialize(vq::minmax_observer().serialize()));
  CHECK(!vq::minmax_observer::deserialize("vq minmax 2\nseen 00000000 00000000\n"));
  CHECK(vq::minmax_observer::deserialize("vq minmax 1\nseen bf800000 40400000\n")
            ->estimate()
            .value() == vq::range{-1, 3});
  CHECK(!vq::minmax_observer::deserialize("vq minmax 1\nseen 40400000 bf800000\n"));  // 3 > -1
  CHECK(!vq::minmax_observer::deserialize("vq minmax 1\nseen bf800000 7f800000\n"));  // infinity
  CHECK(!vq::minmax_observer::deserialize("vq minmax 1\nseen 7fc00000 7fc00000\n"));  // NaN
}

TEST_CASE("minmax_observer: any sharding in any order gives the same bytes", "[calibrate]") {
  const std::vector<float> x = wild_values(4000);
  const std::string whole = after<vq::minmax_observer>({x}).serialize();
  std::mt19937 bits(3);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<vq::minmax_observer> shards(1 + bits() % 9);
    for (const float value : x) {
      REQUIRE(shards[bits() % shards.size()].observe(view_of({value})) == vq::status::ok);
    }
    while (shards.size() > 1) {
      std::swap(shards[bits() % shards.size()], shards.back());
      const vq::minmax_observer last = shards.back();
      shards.pop_back();
      REQUIRE(shards[bits() % shards.size()].merge(last) == vq::status::ok);
    }
    CHECK((shards[0].serialize() == whole));
  }
}

TEST_CASE("minmax_observer: both zeros are one", "[calibrate]") {
  CHECK(after<vq::minmax_observer>({{-0.f}, {0.f}}).serialize() ==
        after<vq::minmax_observer>({{0.f}, {-0.f}}).serialize());
}

TEST_CASE("moving_average_observer: by hand", "[calibrate]") {
  vq::moving_average_observer o(0.25);
  for (const vq::range batch : {vq::range{-4, 8}, {0, 0}, {-8, 16}}) o.observe(batch);
  // lowest: -4, then -4 + 0.25 * 4 = -3, then -3 + 0.25 * -5 = -4.25; highest: 8, 6, 8.5
  CHECK(o.estimate().value() == vq::range{-4.25f, 8.5f});
}

TEST_CASE("moving_average_observer: shards merged in their order give the whole", "[calibrate]") {
  const std::vector<float> ends = uniform_values(120, -3, 5);
  const auto observe = [&](std::size_t begin, std::size_t end) {
    vq::moving_average_observer o(0.1);
    for (std::size_t i = begin; i < end; i += 2) {
      o.observe({std::min(ends[i], ends[i + 1]), std::max(ends[i], ends[i + 1])});
    }
    return o;
  };
  const vq::range whole = observe(0, 120).estimate().value();
  for (std::size_t first = 0; first <= 120; first += 6) {
    for (std::size_t second = first; second <= 120; second += 30) {
      const auto a = observe(0, first), b = observe(first, second), c = observe(second, 120);
      auto left = a, right = b;  // (a b) c and a (b c)
      REQUIRE(left.merge(b) == vq::status::ok);
      REQUIRE(left.merge(c) == vq::status::ok);
      REQUIRE(right.merge(c) == vq::status::ok);
      auto both = a;
      REQUIRE(both.merge(right) == vq::status::ok);
      for (const auto& merged : {left, both}) {
        CHECK(merged.estimate()->lowest == Approx(whole.lowest).epsilon(1e-6));
        CHECK(merged.estimate()->highest == Approx(whole.highest).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("moving_average_observer: the order of the shards matters", "[calibrate]") {
  vq::moving_average_observer early(0.01), late(0.01);
  early.observe({-1, 1});
  late.observe({-9, 9});
  auto forward = early, backward = late;
  REQUIRE(forward.merge(late) == vq::status::ok);
  REQUIRE(backward.merge(early) == vq::status::ok);
  CHECK(forward.estimate()->highest == Approx(1.08));
  CHECK(backward.estimate()->highest == Approx(8.92));
}

TEST_CASE("moving_average_observer: a constant stays what it is, however often", "[calibrate]") {
  vq::moving_average_observer o(0.01);
  for (int i = 0; i < 200000; ++i) o.observe({-0.1f, 3.4e38f});
  CHECK(o.estimate().value() == vq::range{-0.1f, 3.4e38f});
  CHECK(vq::moving_average_observer::deserialize(o.serialize()).has_value());
}

TEST_CASE("moving_average_observer: constants that differ do not merge", "[calibrate]") {
  vq::moving_average_observer a(0.01), b(0.02);
  a.observe({-1, 1});
  b.observe({-2, 2});
  CHECK(a.merge(b) == vq::status::bad_argument);
  CHECK(a.estimate().value() == vq::range{-1, 1});
}

TEST_CASE("batch_mean_observer: the mean of the batches, in any order", "[calibrate]") {
  CHECK(after<vq::batch_mean_observer>({{-1, 5}, {-2, 0}, {0, 1}}).estimate().value() ==
        vq::range{-1, 2});
  auto a = after<vq::batch_mean_observer>({{-1, 5}});
  const auto b = after<vq::batch_mean_observer>({{-2, 0}, {0, 1}});
  auto c = b;
  REQUIRE(a.merge(b) == vq::status::ok);
  REQUIRE(c.merge(after<vq::batch_mean_observer>({{-1, 5}})) == vq::status::ok);
  CHECK(a == c);
  CHECK(a.estimate().value() == vq::range{-1, 2});
}

TEST_CASE("sliced_observer: one range a channel, as observers of each channel find",
          "[calibrate]") {
  const std::vector<float> first = normal_values(2 * 3 * 4, 5),
                           second = normal_values(3 * 3 * 4, 6);
  vq::sliced_observer<vq::moving_average_observer, vq::per_channel<1>> all(
      vq::moving_average_observer(0.5));
  REQUIRE(all.observe(vq::tensor_view<const float, 3>(first.data(), {2, 3, 4})) == vq::status::ok);
  REQUIRE(all.observe(vq::tensor_view<const float, 3>(second.data(), {3, 3, 4})) == vq::status::ok);
  REQUIRE(all.size() == 3);
  const auto ranges = all.estimate().value();
  for (int channel = 0; channel < 3; ++channel) {
    vq::moving_average_observer one(0.5);
    const vq::tensor_view<const float, 2> a(first.data() + 4 * channel, {2, 4}, {12, 1});
    const vq::tensor_view<const float, 2> b(second.data() + 4 * channel, {3, 4}, {12, 1});
    REQUIRE(one.observe(a) == vq::status::ok);
    REQUIRE(one.observe(b) == vq::status::ok);
    CHECK(ranges[static_cast<std::size_t>(channel)] == one.estimate().value());
  }
}

TEST_CASE("sliced_observer: another number of channels, or NaN in one, changes nothing",
          "[calibrate]") {
  std::vector<float> x = normal_values(12);
  per_row o;
  CHECK(o.estimate().error() == vq::status::no_data);
  REQUIRE(o.observe(vq::tensor_view<const float, 2>(x.data(), {3, 4})) == vq::status::ok);
  const std::string before = o.serialize();
  CHECK(o.observe(vq::tensor_view<const float, 2>(x.data(), {4, 3})) == vq::status::size_mismatch);
  x[11] = not_a_number;
  CHECK(o.observe(vq::tensor_view<const float, 2>(x.data(), {3, 4})) == vq::status::not_finite);
  CHECK(o.serialize() == before);

  per_row other;
  REQUIRE(other.observe(vq::tensor_view<const float, 2>(x.data(), {2, 4})) == vq::status::ok);
  CHECK(o.merge(other) == vq::status::size_mismatch);
  per_row different(vq::moving_average_observer(0.5));
  REQUIRE(different.observe(vq::tensor_view<const float, 2>(x.data(), {3, 1})) == vq::status::ok);
  CHECK(o.merge(different) == vq::status::bad_argument);
  CHECK(o.serialize() == before);
}

TEST_CASE("sliced_observer: merges and travels as its parts do", "[calibrate]") {
  const std::vector<float> x = normal_values(24);
  const vq::tensor_view<const float, 2> a(x.data(), {3, 4}), b(x.data() + 12, {3, 4});
  per_row whole, first, second;
  REQUIRE(whole.observe(a) == vq::status::ok);
  REQUIRE(whole.observe(b) == vq::status::ok);
  REQUIRE(first.observe(a) == vq::status::ok);
  REQUIRE(second.observe(b) == vq::status::ok);
  REQUIRE(first.merge(second) == vq::status::ok);
  CHECK(first.estimate().value() == whole.estimate().value());

  for (const per_row& o : {per_row(), per_row(vq::moving_average_observer(0.5)), whole}) {
    const std::string text = o.serialize();
    const auto copy = per_row::deserialize(text);
    REQUIRE(copy.has_value());
    CHECK((copy->serialize() == text));
    CHECK(copy->size() == o.size());
    for (std::size_t length = 0; length + 20 < text.size(); ++length) {
      CHECK(!per_row::deserialize(text.substr(0, length)));
    }
    CHECK(!per_row::deserialize(text + text));
  }
  CHECK(!per_row::deserialize("vq sliced 1\nsize 999999999999\n" +
                              vq::moving_average_observer().serialize()));
}
