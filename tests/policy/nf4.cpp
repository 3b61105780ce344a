// Expected numbers: the table of bitsandbytes and the midpoints of its portable backend.
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <vq/policy/nf4.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"

namespace {

using vq::nf4;
constexpr nf4 q;
constexpr vq::scale_param unit{};

// Midpoints of the levels in double; rounded to float they are the float midpoints.
constexpr double pivots[15] = {-0.8480964004993439,   -0.6106329262256622,  -0.4599952697753906,
                               -0.33967943489551544,  -0.23460740596055984, -0.13791173323988914,
                               -0.045525018125772476, 0.03979014977812767,  0.1202552504837513,
                               0.2035212516784668,    0.2920137718319893,   0.3893125355243683,
                               0.5016634166240692,    0.6427869200706482,   0.8614784181118011};

double signal_to_noise_db(const std::vector<float>& x, const std::vector<float>& y) {
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = static_cast<double>(y[i]) - static_cast<double>(x[i]);
    signal += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    noise += difference * difference;
  }
  return 10 * std::log10(signal / noise);
}

template <vq::index_type Block>
double noise_of_normal_data() {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(1 << 18), y(x.size());
  for (float& value : x) value = normal(random);
  const vq::quantizer<nf4, vq::per_block<Block>> blocks;
  const auto size = static_cast<vq::index_type>(x.size());
  const vq::tensor_view<const float, 1> view{x.data(), {size}};
  std::vector<vq::scale_param> params(static_cast<std::size_t>(blocks.required(view).params));
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(blocks.required(view).codes));
  REQUIRE(vq::fit(blocks, view, params) == vq::status::ok);
  REQUIRE(vq::quantize(blocks, view, params, codes) == vq::status::ok);
  const vq::tensor_view<float, 1> out{y.data(), {size}};
  REQUIRE(vq::dequantize(blocks, codes, params, out) == vq::status::ok);
  return signal_to_noise_db(x, y);
}

}  // namespace

TEST_CASE("nf4: the levels, by their bits", "[policy]") {
  constexpr std::uint32_t bits[16] = {0xbf800000, 0xbf3239b1, 0xbf066b30, 0xbeca32a0,
                                      0xbe91a24d, 0xbe3d353f, 0xbdba7871, 0x00000000,
                                      0x3da2faff, 0x3e24cae3, 0x3e7c04dd, 0x3ead033a,
                                      0x3ee1a4b8, 0x3f1007ab, 0x3f3913b3, 0x3f800000};
  for (int code = 0; code < 16; ++code) {
    CHECK(std::bit_cast<std::uint32_t>(q.decode(static_cast<float>(code), unit)) == bits[code]);
  }
}

TEST_CASE("nf4: the boundaries, one float below and above", "[policy]") {
  for (int i = 0; i < 15; ++i) {
    CAPTURE(i);
    const auto pivot = static_cast<float>(pivots[i]);
    CHECK(nf4::rising.midpoint[i] == pivot);
    const auto lower = static_cast<float>(i);
    CHECK(q.encode(std::nextafter(pivot, -2.f), unit) == lower);
    CHECK(q.encode(pivot, unit) == lower);
    CHECK(q.encode(std::nextafter(pivot, 2.f), unit) == lower + 1);
  }
}

TEST_CASE("nf4: every code round-trips, and the levels are exact", "[policy]") {
  for (const float absmax : {1.f, 1.5f, 0.3f, 1e-20f, 3e38f}) {
    for (int code = 0; code < 16; ++code) {
      const float value = q.decode(static_cast<float>(code), {absmax});
      CHECK(value == vq::nf4_table::levels[code] * absmax);
      CHECK(q.encode(value, {absmax}) == static_cast<float>(code));
      CHECK(q.encode_short(value, {absmax}) == static_cast<float>(code));
    }
  }
}

TEST_CASE("nf4: codes rise with the values", "[policy]") {
  float last = 0;
  for (int i = -1100; i <= 1100; ++i) {
    const float code = q.encode(static_cast<float>(i) / 1000, unit);
    CHECK(code >= last);
    last = code;
  }
  CHECK(last == 15.f);
}

TEST_CASE("nf4: the worked example of a block, byte for byte", "[policy]") {
  float x[64] = {0.5f, -1.f, 0.25f, 0.f, 0.1f, -0.3f, 0.75f, 1.5f};
  constexpr vq::quantizer<nf4, vq::per_block<64>> block;
  vq::scale_param param[1];
  std::uint8_t codes[32];
  const vq::tensor_view<const float, 1> view{x, {64}};
  REQUIRE(vq::fit(block, view, param) == vq::status::ok);
  CHECK(param[0].scale == 1.5f);
  REQUIRE(vq::quantize(block, view, param, codes) == vq::status::ok);
  constexpr std::uint8_t want[4] = {0xb1, 0x97, 0x85, 0xcf};
  for (int i = 0; i < 4; ++i) CHECK(codes[i] == want[i]);
  for (int i = 4; i < 32; ++i) CHECK(codes[i] == 0x77);

  float y[64];
  const vq::tensor_view<float, 1> out{y, {64}};
  REQUIRE(vq::dequantize(block, codes, param, out) == vq::status::ok);
  constexpr float values[8] = {0.5068729f,  -1.0442892f,  0.2413953f,  0.f,
                               0.11937045f, -0.27716014f, 0.66106474f, 1.5f};
  for (int i = 0; i < 8; ++i) CHECK(y[i] == Approx(values[i]).epsilon(1e-6));
}

TEST_CASE("nf4: blocks of zeros are 7s, and both patterns of other libraries read as zeros",
          "[policy]") {
  constexpr vq::quantizer<nf4, vq::per_block<64>> block;
  const float x[64] = {};
  vq::scale_param param[1];
  std::uint8_t codes[32];
  REQUIRE(vq::fit(block, vq::tensor_view<const float, 1>{x, {64}}, param) == vq::status::ok);
  CHECK(param[0].scale == 0.f);
  REQUIRE(vq::quantize(block, vq::tensor_view<const float, 1>{x, {64}}, param, codes) ==
          vq::status::ok);
  for (const std::uint8_t byte : codes) CHECK(byte == 0x77);
  float y[64];
  for (const int byte : {0x77, 0x00}) {
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(byte);
    REQUIRE(vq::dequantize(block, codes, param, vq::tensor_view<float, 1>{y, {64}}) ==
            vq::status::ok);
    for (const float value : y) CHECK(value == 0.f);
  }
}

TEST_CASE("nf4: NaN and infinity are refused by fit", "[policy]") {
  constexpr vq::quantizer<nf4, vq::per_block<64>> block;
  vq::scale_param param[1];
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    const float x[3] = {1.f, bad, 0.f};
    CHECK(vq::fit(block, vq::tensor_view<const float, 1>{x, {3}}, param) == vq::status::not_finite);
  }
}

// 4.2 million samples gave 21.18, 20.73, 20.39 and 19.18 dB.
TEST_CASE("nf4: the noise of normal data is what the table allows", "[policy]") {
  CHECK(noise_of_normal_data<32>() == Approx(21.18).margin(0.05));
  CHECK(noise_of_normal_data<64>() == Approx(20.73).margin(0.05));
  CHECK(noise_of_normal_data<128>() == Approx(20.39).margin(0.05));
  CHECK(noise_of_normal_data<4096>() == Approx(19.18).margin(0.1));
}
