#include <limits>

#include <vq/fold/absorb.hpp>
#include <vq/fold/equalize.hpp>
#include <vq/fold/expectation.hpp>

#include "catch.hpp"
#include "layers.hpp"

namespace {

using vq::across;
using vq::index_type;
using vq::status;
using view = vq::tensor_view<float, 4>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

// r1 = [4, .25], r2 = [.5, 2]: s = [sqrt 8, sqrt 1/8], both ranges become [sqrt 2, sqrt 1/2].
constexpr bool worked_example_holds() {
  float w1[] = {-4, 1, 0.25f, 0.125f}, b1[] = {1, -1}, w2[] = {0.5f, 1, -0.25f, -2};
  float scales[] = {1, 1};
  const auto change = vq::equalize(vq::tensor_view<float, 2>{w1, {2, 2}}, b1,
                                   vq::tensor_view<float, 2>{w2, {2, 2}}, scales, across::relu);
  const auto near = [](float got, double want) { return vq::math::abs(double(got) - want) < 1e-6; };
  return change && near(*change, 1.8284271) && near(scales[0], 2.8284271) &&
         near(scales[1], 0.35355339) && near(w1[0], -1.4142136) && near(w1[2], 0.70710678) &&
         near(w2[0], 1.4142136) && near(w2[3], -0.70710678) && near(b1[0], 0.35355339) &&
         near(b1[1], -2.8284271);
}
static_assert(worked_example_holds());

// Two layers with an activation between. The rows of the first differ 1000 fold.
struct pair {
  index_type channels = 6, outputs = 6, groups = 1, size = 3;
  std::vector<float> w1, b1, w2, b2, scales;

  explicit pair(index_type second_groups = 1, unsigned seed = 1) : groups(second_groups) {
    w1 = layers::random_values(channels * 4 * 9, seed);
    for (index_type i = 0; i < channels; ++i) {
      for (index_type j = 0; j < 36; ++j) {
        w1[std::size_t(i * 36 + j)] *= std::pow(10.f, float(i % 4) - 2.f);
      }
    }
    b1 = layers::random_values(channels, seed + 1, -0.5f, 1);
    w2 = layers::random_values(outputs * (channels / groups) * size * size, seed + 2);
    b2 = layers::random_values(outputs, seed + 3);
    scales.assign(std::size_t(channels), 1.f);
  }
  view first() { return {w1.data(), {channels, 4, 3, 3}}; }
  view second() { return {w2.data(), {outputs, channels / groups, size, size}}; }
  vq::result<float> equalize(across middle) {
    return vq::equalize(first(), b1, second(), scales, middle, {.groups = groups});
  }
  template <class F>
  layers::map run(F activation) {
    const auto x = layers::random_map({1, 4, 6, 6}, 99);
    auto z = activation(layers::convolution(x, first(), b1, {.padding = {1, 1}}));
    return layers::convolution(z, second(), b2, {.padding = {1, 1}, .groups = groups});
  }
};

double spread(std::vector<double> ranges) {
  const auto [least, most] = std::minmax_element(ranges.begin(), ranges.end());
  return *most / *least;
}

}  // namespace

TEST_CASE("equalization leaves the function as it was and makes both ranges equal", "[fold]") {
  const index_type groups = GENERATE(1, 2, 6);
  CAPTURE(groups);
  pair p(groups);
  const auto relu = [](layers::map z) { return layers::apply(std::move(z), layers::relu); };
  const auto want = p.run(relu);
  std::vector<double> product;
  const auto range1 = [&](index_type i) {
    return double(largest_magnitude(p.first(), vq::first_axis_channel(p.first().extents(), i)));
  };
  const auto range2 = [&](index_type i) {
    double most = 0;  // by the definition, over all rows of the channel's group
    const index_type columns = p.channels / groups, rows = p.outputs / groups;
    for (index_type o = i / columns * rows; o < (i / columns + 1) * rows; ++o)
      for (index_type k = 0; k < 9; ++k)
        most = std::max(most, std::abs(double(p.second()(o, i % columns, k / 3, k % 3))));
    return most;
  };
  for (index_type i = 0; i < p.channels; ++i) product.push_back(range1(i) * range2(i));

  const auto change = p.equalize(across::relu);
  REQUIRE(change);
  CHECK(*change > 1);
  CHECK(layers::distance(p.run(relu), want) < 1e-6 * layers::largest(want));
  for (index_type i = 0; i < p.channels; ++i) {
    const double root = std::sqrt(product[std::size_t(i)]);
    CHECK(range1(i) == Approx(root).epsilon(1e-6));
    CHECK(range2(i) == Approx(root).epsilon(1e-6));
  }
  const auto again = p.equalize(across::relu);
  REQUIRE(again);
  CHECK(*again < 1e-6f);
}

TEST_CASE("equalization is exact across everything that is homogeneous", "[fold]") {
  const auto leaky = [](double x) { return x > 0 ? x : 0.1 * x; };
  const auto check = [](across middle, auto activation) {
    pair p;
    const auto want = p.run(activation);
    REQUIRE(p.equalize(middle));
    CHECK(layers::distance(p.run(activation), want) < 1e-6 * layers::largest(want));
  };
  check(across::identity, [](layers::map z) { return z; });
  check(across::prelu, [&](layers::map z) { return layers::apply(std::move(z), leaky); });
}

TEST_CASE("ReLU6 is refused, replaced, or clipped per channel", "[fold]") {
  pair p;
  for (float& b : p.b1) b *= 20;  // many values beyond 6
  const auto relu6 = [](layers::map z) { return layers::apply(std::move(z), layers::relu6); };
  const auto relu = [](layers::map z) { return layers::apply(std::move(z), layers::relu); };
  const auto want = p.run(relu6), want_relu = p.run(relu);

  const auto refused = p.equalize(across::relu6);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == status::not_foldable);
  CHECK(layers::distance(p.run(relu6), want) == 0);

  SECTION("clipped at 6 / s it computes what ReLU6 did") {
    REQUIRE(p.equalize(across::relu6_per_channel));
    std::vector<float> limits(p.scales.size());
    REQUIRE(vq::clip_limits(p.scales, limits) == status::ok);
    for (std::size_t i = 0; i < limits.size(); ++i) {
      CHECK(limits[i] == Approx(6.0 / double(p.scales[i])).epsilon(1e-7));
    }
    const auto clipped = p.run([&](layers::map z) {
      for (std::size_t at = 0; at < z.data.size(); ++at) {
        const std::size_t channel = at / 36 % 6;
        z.data[at] = std::clamp(z.data[at], 0.0, double(limits[channel]));
      }
      return z;
    });
    CHECK(layers::distance(clipped, want) < 1e-6 * layers::largest(want));
    CHECK(layers::distance(p.run(relu6), want) > 0.01 * layers::largest(want));
  }
  SECTION("replaced by ReLU it computes what ReLU did, which is something else") {
    REQUIRE(p.equalize(across::relu6_as_relu));
    CHECK(layers::distance(p.run(relu), want_relu) < 1e-6 * layers::largest(want_relu));
    CHECK(layers::distance(want_relu, want) > 0.01 * layers::largest(want));
  }
}

TEST_CASE("pairs of a chain end at the cube-root rule", "[fold]") {
  const index_type c = 5;
  auto expand = layers::random_values(c * 3, 1), depthwise = layers::random_values(c * 9, 2);
  auto project = layers::random_values(4 * c, 3);
  for (index_type i = 0; i < c; ++i) {
    for (index_type j = 0; j < 3; ++j)
      expand[std::size_t(i * 3 + j)] *= std::pow(10.f, float(i - 2));
  }
  std::vector<float> b1(std::size_t(c), 0.1f), b2(std::size_t(c), -0.1f);
  std::vector<float> s1(std::size_t(c), 1.f), s2(std::size_t(c), 1.f);
  const view first{expand.data(), {c, 3, 1, 1}}, middle{depthwise.data(), {c, 1, 3, 3}},
      last{project.data(), {4, c, 1, 1}};
  const auto ranges = [&](index_type i) {
    return std::array{
        double(largest_magnitude(first, vq::first_axis_channel(first.extents(), i))),
        double(largest_magnitude(middle, vq::first_axis_channel(middle.extents(), i))),
        double(largest_magnitude(last, vq::second_axis_channel(last.extents(), i, 1)))};
  };
  std::vector<double> root, first_range;
  for (index_type i = 0; i < c; ++i) {
    const auto [r1, r2, r3] = ranges(i);
    root.push_back(std::cbrt(r1 * r2 * r3));
    first_range.push_back(r1);
  }
  int sweeps = 0;
  for (float change = 1; change >= 1e-4f; ++sweeps) {
    REQUIRE(sweeps < 20);
    const auto a = vq::equalize(first, b1, middle, s1, across::relu, {.groups = c});
    const auto b = vq::equalize(middle, b2, last, s2, across::relu);
    REQUIRE(a);
    REQUIRE(b);
    change = std::max(*a, *b);
  }
  CHECK(sweeps > 2);
  for (index_type i = 0; i < c; ++i) {
    for (const double r : ranges(i)) CHECK(r == Approx(root[std::size_t(i)]).epsilon(2e-4));
    // scales accumulate over the sweeps: first range / root
    CHECK(double(s1[std::size_t(i)]) ==
          Approx(first_range[std::size_t(i)] / root[std::size_t(i)]).epsilon(2e-4));
  }
}

TEST_CASE("a channel that is zero on one side keeps its scale", "[fold]") {
  std::vector<float> w1{0, 0, 3, 1, 2, 2}, b1{5, 1, 1}, w2{1, 0, 2}, scales(3, 1.f);
  const auto change =
      vq::equalize(vq::tensor_view<float, 2>{w1.data(), {3, 2}}, b1,
                   vq::tensor_view<float, 2>{w2.data(), {1, 3}}, scales, across::relu);
  REQUIRE(change);
  CHECK(*change == 0.f);
  CHECK(scales == std::vector<float>{1, 1, 1});
  CHECK(w1 == std::vector<float>{0, 0, 3, 1, 2, 2});
  CHECK(b1 == std::vector<float>{5, 1, 1});
}

TEST_CASE("scales are bounded over all sweeps", "[fold]") {
  std::vector<float> w1{1e-20f}, b1{1}, w2{1}, scales{1};
  const vq::tensor_view<float, 2> first{w1.data(), {1, 1}}, second{w2.data(), {1, 1}};
  const auto change = vq::equalize(first, b1, second, scales, across::relu, {.largest_scale = 100});
  REQUIRE(change);
  CHECK(scales[0] == Approx(0.01));
  CHECK(b1[0] == Approx(100));
  CHECK(w2[0] == Approx(0.01));
  const auto again = vq::equalize(first, b1, second, scales, across::relu, {.largest_scale = 100});
  REQUIRE(again);
  CHECK(*again == 0.f);
}

TEST_CASE("equalization narrows what one scale per tensor has to span", "[fold]") {
  pair p;
  const auto ranges = [&] {
    std::vector<double> r;
    for (index_type i = 0; i < p.channels; ++i) {
      r.push_back(
          double(largest_magnitude(p.first(), vq::first_axis_channel(p.first().extents(), i))));
    }
    return r;
  };
  const double before = spread(ranges());
  REQUIRE(p.equalize(across::relu));
  CHECK(before > 500);
  CHECK(spread(ranges()) == Approx(std::sqrt(before)).epsilon(0.2));
}

TEST_CASE("strides of equalized weights do not matter", "[fold]") {
  pair plain(2), strided(2);
  // the second weight with its kernel window transposed in memory
  std::vector<float> turned(strided.w2.size());
  const view channels_last{turned.data(), {6, 3, 3, 3}, {27, 1, 9, 3}};
  const view row_major = strided.second();
  for (index_type o = 0; o < 6; ++o)
    for (index_type i = 0; i < 3; ++i)
      for (index_type k = 0; k < 9; ++k)
        channels_last(o, i, k / 3, k % 3) = row_major(o, i, k / 3, k % 3);
  REQUIRE(plain.equalize(across::relu));
  REQUIRE(vq::equalize(strided.first(), strided.b1, channels_last, strided.scales, across::relu,
                       {.groups = 2}));
  CHECK(strided.w1 == plain.w1);
  CHECK(strided.scales == plain.scales);
  bool equal = true;
  for (index_type o = 0; o < 6; ++o)
    for (index_type i = 0; i < 3; ++i)
      for (index_type k = 0; k < 9; ++k)
        equal = equal && channels_last(o, i, k / 3, k % 3) == plain.second()(o, i, k / 3, k % 3);
  CHECK(equal);
}

TEST_CASE("equalization refuses and changes nothing", "[fold]") {
  pair p;
  const pair before = p;
  const auto error = [&](across middle, const vq::equalize_options& options = {}) {
    const auto r = vq::equalize(p.first(), p.b1, p.second(), p.scales, middle, options);
    return r ? status::ok : r.error();
  };
  SECTION("what is not homogeneous") { CHECK(error(across::other) == status::not_foldable); }
  SECTION("options") {
    CHECK(error(across::relu, {.groups = 0}) == status::bad_argument);
    CHECK(error(across::relu, {.largest_scale = 0.5f}) == status::bad_argument);
    CHECK(error(across::relu, {.largest_scale = not_a_number}) == status::bad_argument);
    CHECK(error(across::relu, {.largest_scale = infinite}) == status::bad_argument);
  }
  SECTION("shapes") {
    CHECK(error(across::relu, {.groups = 2}) == status::size_mismatch);
    const std::span<float> bias(p.b1), scales(p.scales);
    CHECK(vq::equalize(p.first(), bias.first(5), p.second(), scales, across::relu).error() ==
          status::size_mismatch);
    CHECK(vq::equalize(p.first(), bias, p.second(), scales.first(5), across::relu).error() ==
          status::size_mismatch);
    const view odd{p.w2.data(), {5, 3, 3, 3}};
    CHECK(vq::equalize(p.first(), bias, odd, scales, across::relu, {.groups = 2}).error() ==
          status::size_mismatch);
  }
  SECTION("scales that are not positive and finite") {
    for (const float wrong : {0.f, -1.f, not_a_number, infinite}) {
      p.scales[5] = wrong;
      CHECK(error(across::relu) == status::bad_argument);
    }
    p.scales[5] = 1;
  }
  SECTION("values that are not finite") {
    for (auto member : {&pair::w1, &pair::b1, &pair::w2}) {
      const float kept = (p.*member).back();
      for (const float wrong : {not_a_number, infinite}) {
        (p.*member).back() = wrong;
        CHECK(error(across::relu) == status::not_finite);
      }
      (p.*member).back() = kept;
    }
  }
  SECTION("results beyond float") {
    const float kept = p.b1[0];
    p.b1[0] = 3e38f;  // its row is the smallest: s < 1
    CHECK(error(across::relu) == status::not_finite);
    p.b1[0] = kept;
  }
  CHECK(p.w1 == before.w1);
  CHECK(p.b1 == before.b1);
  CHECK(p.w2 == before.w2);
  CHECK(p.scales == before.scales);
}

TEST_CASE("clip limits need positive scales and room", "[fold]") {
  const std::vector<float> scales{1, 3};
  std::vector<float> limits(2);
  CHECK(vq::clip_limits(scales, limits, 12) == status::ok);
  CHECK(limits == std::vector<float>{12, 4});
  CHECK(vq::clip_limits(scales, std::span(limits).first(1)) == status::size_mismatch);
  const std::vector<float> zero{1, 0}, broken{1, not_a_number};
  CHECK(vq::clip_limits(zero, limits) == status::bad_argument);
  CHECK(vq::clip_limits(broken, limits) == status::bad_argument);
}

TEST_CASE("an absorbed bias gives the same function where the channel stays above it", "[fold]") {
  const index_type groups = GENERATE(1, 2, 4);
  CAPTURE(groups);
  auto w2 = layers::random_values(4 * (4 / groups) * 4, 5);
  auto b2 = layers::random_values(4, 6);
  std::vector<float> b1{10, 0, 4, -3}, mean = b1, deviation{1, 1, 0.5f, 1};
  const view second{w2.data(), {4, 4 / groups, 2, 2}};
  // before the ReLU: the bias and up to three deviations
  const auto noise = layers::random_map({1, 4, 5, 5}, 7, -3, 3);
  const auto run = [&] {
    layers::map z = noise;
    for (std::size_t at = 0; at < z.data.size(); ++at) {
      const std::size_t c = at / 25;
      z.data[at] = layers::relu(double(b1[c]) + double(deviation[c]) * noise.data[at]);
    }
    return layers::convolution(z, second, b2, {.groups = groups});
  };
  const auto want = run();
  REQUIRE(vq::absorb_high_bias(b1, mean, deviation, second, b2, across::relu, {.groups = groups}) ==
          status::ok);
  CHECK(b1 == std::vector<float>{3, 0, 1.5f, -3});
  CHECK(mean == b1);
  CHECK(layers::distance(run(), want) < 1e-6 * layers::largest(want));
}

TEST_CASE("absorption refuses and changes nothing", "[fold]") {
  auto w2 = layers::random_values(2 * 2 * 9, 8);
  std::vector<float> b1{9, 9}, mean{9, 9}, deviation{1, 1}, b2{0, 0};
  const view second{w2.data(), {2, 2, 3, 3}};
  const auto absorb = [&](across middle = across::relu, const vq::convolution_input& input = {}) {
    return vq::absorb_high_bias(b1, mean, deviation, second, b2, middle, input);
  };
  for (const across clipped : {across::relu6, across::relu6_per_channel, across::other}) {
    CHECK(absorb(clipped) == status::not_foldable);
  }
  CHECK(absorb(across::relu, {.zero_padding = 1}) == status::not_foldable);
  CHECK(absorb(across::relu, {.groups = 0}) == status::bad_argument);
  CHECK(absorb(across::relu, {.zero_padding = -1}) == status::bad_argument);
  CHECK(absorb(across::relu, {.groups = 2}) == status::size_mismatch);
  deviation[1] = -1;
  CHECK(absorb() == status::bad_argument);
  deviation[1] = not_a_number;
  CHECK(absorb() == status::not_finite);
  deviation[1] = 1;
  mean[1] = infinite;
  CHECK(absorb() == status::not_finite);
  mean[1] = 9;
  w2.back() = infinite;
  CHECK(absorb() == status::not_finite);
  w2.back() = 1;
  b1[1] = not_a_number;
  CHECK(absorb() == status::not_finite);
  b1[1] = 9;
  b2.push_back(0);
  CHECK(absorb() == status::size_mismatch);
  b2.pop_back();
  CHECK(b1 == std::vector<float>{9, 9});
  CHECK(mean == b1);
  CHECK(b2 == std::vector<float>{0, 0});
  mean = {2, 2};  // nothing to absorb: padding does no harm
  CHECK(absorb(across::relu, {.zero_padding = 1}) == status::ok);
  CHECK(b1 == std::vector<float>{9, 9});
}
