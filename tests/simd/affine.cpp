// Evenly spaced grids in integers: every length, alignment, zero point and arrangement of the
// parameters gives the codes, values and bits of the reference.
#include <bit>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

using int8 = vq::uniform<8>;
using uint8 = vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>;
using middle = vq::uniform<8, vq::asymmetric, vq::codes_between<10, 200>, vq::unsigned_codes>;
using divided = vq::uniform<6, vq::asymmetric, vq::full, vq::signed_codes, vq::exact_division>;

// Values around the codes, ties, and what is neither finite nor normal.
std::vector<float> values(std::size_t size) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float special[] = {
      0.f,   -0.f,   infinity, -infinity, 1e-42f,       -1e-42f,
      3e38f, -3e38f, 4e9f,     -4e9f,     2147483648.f, std::numeric_limits<float>::quiet_NaN()};
  std::mt19937 random(7);
  std::vector<float> x(size);
  for (float& v : x) {
    const auto pick = random() % 16;
    v = pick < 4    ? special[random() % std::size(special)]
        : pick < 10 ? static_cast<float>(static_cast<int>(random() % 1200) - 600) * 0.5f
                    : std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  }
  return x;
}

// Zero points are some of the codes, or all of them 0.
enum class zero_points { any, none };

template <class Policy>
std::vector<vq::affine_param> parameters(index_type count, zero_points zeros) {
  const auto& codes = Policy::limits;
  std::vector<vq::affine_param> p;
  for (index_type i = 0; i < count; ++i) {
    const int spread = codes.highest - codes.lowest + 1;
    p.push_back({i % 3 == 0 ? 1.f : 0.37f * static_cast<float>(1 + i % 5),
                 zeros == zero_points::none ? 0 : codes.lowest + static_cast<int>(i * 7 % spread)});
  }
  return p;
}

// Values that every grid of the tests can divide without leaving the integers, ties among them.
std::vector<float> ordinary_values(std::size_t size) {
  std::mt19937 random(11);
  std::vector<float> x(size);
  for (float& v : x) {
    v = random() % 2 == 0 ? static_cast<float>(static_cast<int>(random() % 1200) - 600) * 0.5f
                          : (static_cast<float>(random()) - 2147483648.f) * 0x1p-4f;
  }
  return x;
}

// All three operations on one strip, `shift` elements off any alignment; nothing beyond is written.
template <class Policy>
bool same(vq::strip s, std::size_t shift, std::vector<float> (*make)(std::size_t) = values,
          zero_points zeros = zero_points::any) {
  using code = typename Policy::code_type;
  const auto size = static_cast<std::size_t>(s.size());
  const auto x = make(size + shift);
  const auto p = parameters<Policy>(s.param + s.count, zeros);
  s.begin = static_cast<index_type>(shift);
  const Policy policy;

  using encode = vq::encode_strip<Policy, vq::bytes>;
  std::vector<code> codes(size + shift + 1, code{55}), wide = codes;
  encode{}(policy, p.data(), s, x.data() + shift, codes.data());
  vq::kernel<encode, vq::simd::native_t>{}(policy, p.data(), s, x.data() + shift, wide.data());
  if (std::memcmp(codes.data(), wide.data(), codes.size()) != 0) return false;

  using decode = vq::decode_strip<Policy, vq::bytes>;
  std::vector<float> y(size + shift + 1, 9.f), y_wide = y;
  decode{}(policy, p.data(), s, codes.data(), y.data() + shift);
  vq::kernel<decode, vq::simd::native_t>{}(policy, p.data(), s, codes.data(),
                                           y_wide.data() + shift);
  if (std::memcmp(y.data(), y_wide.data(), y.size() * sizeof(float)) != 0) return false;

  using both = vq::fake_quantize_strip<Policy>;
  y = x;
  y.push_back(9.f);
  y_wide = y;
  both{}(policy, p.data(), s, y.data() + shift, y.data() + shift);
  vq::kernel<both, vq::simd::native_t>{}(policy, p.data(), s, y_wide.data() + shift,
                                         y_wide.data() + shift);
  return std::memcmp(y.data() + shift, y_wide.data() + shift, (size + 1) * sizeof(float)) == 0;
}

template <class Policy>
void all_shapes(std::vector<float> (*make)(std::size_t) = values,
                zero_points zeros = zero_points::any) {
  for (index_type length = 1; length <= 2 * 64 + 3; ++length) {
    CAPTURE(length);
    const auto shift = static_cast<std::size_t>(length % 5);
    REQUIRE(same<Policy>({0, length, 1, 0}, shift, make, zeros));     // one run
    REQUIRE(same<Policy>({0, length, 5, 3}, shift, make, zeros));     // several
    REQUIRE(same<Policy>({0, length, 70, 1}, shift, make, zeros));    // prepared in two goes
    REQUIRE(same<Policy>({0, 1, length, 2}, shift, make, zeros));     // a parameter for each value
    REQUIRE(same<Policy>({0, 1, length, 1, 6}, shift, make, zeros));  // the same in every row
    REQUIRE(same<Policy>({0, length, 3, 1, 2}, shift, make, zeros));
  }
  REQUIRE(same<Policy>({0, 1, 3, 0, 700}, 1, make, zeros));  // narrow rows, joined
  REQUIRE(same<Policy>({0, 1, 24, 0, 101}, 0, make, zeros));
  REQUIRE(same<Policy>({0, 1, 2500, 0, 5}, 3, make, zeros));  // more parameters than a tile holds
  REQUIRE(same<Policy>({0, 32, 1100, 0, 2}, 0, make, zeros));
}

}  // namespace

TEST_CASE("affine: codes and values are those of the reference in every shape", "[simd]") {
  all_shapes<int8>();
  all_shapes<uint8>();
}

TEST_CASE("affine: so they are where no value calls for a second look", "[simd]") {
  all_shapes<int8>(ordinary_values);
  all_shapes<uint8>(ordinary_values);
}

TEST_CASE("affine: so they are where every zero point is 0", "[simd]") {
  all_shapes<int8>(values, zero_points::none);
  all_shapes<int8>(ordinary_values, zero_points::none);
  all_shapes<uint8>(ordinary_values, zero_points::none);
}

#if defined(__x86_64__)
TEST_CASE("affine: the flag of invalid operations is as raised as it was, or more", "[simd]") {
  const auto state = [] {
    std::uint32_t value;
    asm volatile("stmxcsr %0" : "=m"(value));
    return value;
  };
  const auto set = [](std::uint32_t value) { asm volatile("ldmxcsr %0" : : "m"(value)); };
  const std::uint32_t before = state();
  const auto x = ordinary_values(300);
  std::vector<std::uint8_t> codes(x.size());
  const vq::affine_param p{0.75f, 3};
  for (const std::uint32_t invalid : {0u, 1u}) {
    set((before & ~1u) | invalid);
    vq::kernel<vq::encode_strip<uint8, vq::bytes>, vq::simd::native_t>{}({}, &p, {0, 300, 1, 0},
                                                                         x.data(), codes.data());
    const std::uint32_t after = state();
    CHECK((after & 1u) == invalid);
  }
  set(before);
}
#endif

TEST_CASE("affine: so they are with limits inside the type, and with exact division", "[simd]") {
  all_shapes<middle>();
  for (index_type length = 1; length <= 2 * 64 + 3; ++length) {
    REQUIRE(same<divided>({0, length, 2, 0, 2}, 0));
  }
}

TEST_CASE("affine: every zero point among the codes", "[simd]") {
  const auto x = values(256);
  for (int zero = 0; zero < 256; ++zero) {
    const vq::affine_param p{0.75f, zero};
    std::vector<std::uint8_t> codes(x.size()), wide(x.size());
    const vq::strip s{0, 256, 1, 0};
    vq::encode_strip<uint8, vq::bytes>{}({}, &p, s, x.data(), codes.data());
    vq::kernel<vq::encode_strip<uint8, vq::bytes>, vq::simd::native_t>{}({}, &p, s, x.data(),
                                                                         wide.data());
    REQUIRE(codes == wide);
  }
}

TEST_CASE("affine: exact division is exact beside every tie and for every scale", "[simd]") {
  using policy = vq::uniform<8, vq::asymmetric, vq::full, vq::signed_codes, vq::exact_division>;
  std::mt19937 random(13);
  constexpr std::size_t size = 256;
  std::vector<float> x(size);
  std::vector<std::int8_t> codes(size), wide(size);
  for (int round = 0; round < 4000; ++round) {
    const auto mantissa = static_cast<std::uint32_t>(random()) & 0x7fffffu;
    const auto exponent = round % 4 == 0 ? static_cast<std::uint32_t>(random()) % 255 : 120u;
    vq::affine_param p{std::bit_cast<float>(exponent << 23 | mantissa), round % 7 - 3};
    if (!(p.scale > 0)) p.scale = 1e-45f;
    for (std::size_t i = 0; i < size; ++i) {
      const float tie = (static_cast<float>(i) - 127.5f) * p.scale;
      const auto offset = static_cast<std::int32_t>(random() % 9) - 4;
      x[i] = std::bit_cast<float>(std::bit_cast<std::int32_t>(tie) + offset);
    }
    x[7] = 3e38f;
    x[9] = -3e38f;
    const vq::strip s{0, static_cast<index_type>(size), 1, 0};
    vq::encode_strip<policy, vq::bytes>{}({}, &p, s, x.data(), codes.data());
    vq::kernel<vq::encode_strip<policy, vq::bytes>, vq::simd::native_t>{}({}, &p, s, x.data(),
                                                                          wide.data());
    CAPTURE(p.scale);
    REQUIRE(codes == wide);
  }
}
