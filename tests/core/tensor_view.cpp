#include <array>
#include <numeric>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/core/tensor_view.hpp>

#include "catch.hpp"

namespace {

std::vector<float> counting(std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.f);
  return values;
}

template <class V>
std::vector<float> read_all(const V& view) {
  std::vector<float> values(static_cast<std::size_t>(view.size()));
  view.read(0, values);
  return values;
}

}  // namespace

TEST_CASE("tensor_view: indices are row-major without strides", "[core]") {
  const auto values = counting(24);
  const vq::tensor_view<const float, 3> view{values.data(), {2, 3, 4}};
  CHECK(view.size() == 24);
  CHECK(view(1, 2, 3) == 23.f);
  CHECK(view(1, 0, 2) == 14.f);
  CHECK(view.stride(0) == 12);
  CHECK(view.is_exhaustive());
  CHECK(read_all(view) == values);
}

TEST_CASE("tensor_view: strides change where values lie, not what an index means", "[core]") {
  // one image of 2 channels, 2 x 3, channels last
  const auto stored = counting(12);
  const vq::tensor_view<const float, 4> nhwc{stored.data(), {1, 2, 2, 3}, {12, 1, 6, 2}};
  CHECK(nhwc(0, 1, 0, 0) == 1.f);
  CHECK(nhwc(0, 0, 1, 2) == 10.f);
  CHECK_FALSE(nhwc.is_exhaustive());
  CHECK(read_all(nhwc) == std::vector<float>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11});
}

TEST_CASE("tensor_view: read starts and stops anywhere", "[core]") {
  const auto stored = counting(60);
  const vq::tensor_view<const float, 3> view{stored.data(), {3, 4, 5}, {1, 15, 3}};
  const auto all = read_all(view);
  for (std::size_t begin = 0; begin < 60; begin += 7) {
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{6}, 60 - begin}) {
      if (begin + size > 60) continue;
      std::vector<float> part(size);
      view.read(static_cast<vq::index_type>(begin), part);
      CHECK(std::equal(part.begin(), part.end(), all.begin() + static_cast<long>(begin)));
    }
  }
}

TEST_CASE("tensor_view: write is the inverse of read", "[core]") {
  std::vector<float> stored(24, -1.f);
  const vq::tensor_view<float, 2> transposed{stored.data(), {4, 6}, {1, 4}};
  const auto values = counting(24);
  transposed.write(0, values);
  CHECK(read_all(transposed) == values);
  CHECK(stored[1] == 6.f);
}

TEST_CASE("tensor_view: narrow floats are read as floats", "[core]") {
  const std::array<vq::half, 2> halves{vq::half(0.5f), vq::half(-2.f)};
  const vq::tensor_view<const vq::half, 1> view{halves.data(), {2}};
  CHECK(read_all(view) == std::vector<float>{0.5f, -2.f});
  STATIC_REQUIRE_FALSE(vq::float_view<decltype(view)>);
}

TEST_CASE("tensor_view: dimensions of one and of zero keep a view exhaustive", "[core]") {
  const float value = 3;
  CHECK(vq::tensor_view<const float, 2>{&value, {1, 1}, {77, 99}}.is_exhaustive());
  const vq::tensor_view<const float, 2> none{&value, {0, 5}, {1, 1}};
  CHECK(none.is_exhaustive());
  CHECK(none.empty());
  CHECK(read_all(none).empty());
}

TEST_CASE("tensor_view: chunks cover an interval once and in order", "[core]") {
  const auto stored = counting(2000);
  const vq::tensor_view<const float, 2> transposed{stored.data(), {40, 50}, {1, 40}};
  const auto all = read_all(transposed);
  std::vector<float> seen;
  vq::for_each_chunk(transposed, 13, 1900,
                     [&](vq::index_type begin, const float* x, vq::index_type n) {
                       CHECK(begin == 13 + static_cast<vq::index_type>(seen.size()));
                       seen.insert(seen.end(), x, x + n);
                     });
  REQUIRE(seen.size() == 1900);
  CHECK(std::equal(seen.begin(), seen.end(), all.begin() + 13));
}
