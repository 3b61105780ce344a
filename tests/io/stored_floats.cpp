// Stored bytes to floats and back.
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <vq/io/stored_floats.hpp>

#include "catch.hpp"

namespace {

std::vector<float> ramp(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i % 500) - 100.25f;
  return values;
}

}  // namespace

TEST_CASE("stored_floats: what is stored is loaded again, at any address and in any part", "[io]") {
  const std::vector<float> values = ramp(2500);  // exact in every type below but bfloat16
  for (const vq::dtype type : {vq::dtype::f32, vq::dtype::f16, vq::dtype::bf16, vq::dtype::f64}) {
    CAPTURE(vq::name_of(type));
    const auto size = static_cast<std::size_t>(vq::bits_of(type) / 8);
    std::vector<std::byte> memory(1 + values.size() * size);
    const std::span<std::byte> odd = std::span(memory).subspan(1);
    REQUIRE(vq::store_floats(vq::scalar, values, type, odd) == vq::status::ok);
    const vq::tensor_entry tensor{{"t", type, {50, 50}}, 0, odd.size(), odd};
    std::vector<float> part(1100);
    REQUIRE(vq::load_floats(vq::scalar, tensor, 1300, part) == vq::status::ok);
    bool same = true;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const float want =
          type == vq::dtype::bf16 ? vq::bfloat16(values[1300 + i]).to_float() : values[1300 + i];
      same = same && part[i] == want;
    }
    CHECK(same);
    CHECK(vq::load_floats(vq::scalar, tensor, 1401, part) == vq::status::size_mismatch);
    CHECK(vq::load_floats(vq::scalar, tensor, -1, part) == vq::status::size_mismatch);
    CHECK(vq::store_floats(vq::scalar, values, type, odd.first(7)) == vq::status::size_mismatch);
  }
}

TEST_CASE("stored_floats: only floats are floats", "[io]") {
  std::vector<float> out(4);
  const std::vector<std::byte> bytes(4);
  CHECK(vq::load_floats(vq::scalar, bytes, vq::dtype::u8, out) == vq::status::type_mismatch);
  CHECK_FALSE(vq::holds_floats(vq::dtype::i32));
  CHECK(vq::holds_floats(vq::dtype::bf16));
}
