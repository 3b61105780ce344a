// Codes, scales and values of bitsandbytes' portable backend.
#include <type_traits>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/policy/fp4.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/quant.hpp>

#include "golden/golden.hpp"

namespace {

using vq::index_type;

// Rounded to the type that the case says.
std::vector<float> rounded(const golden::test_case& c, std::vector<float> values) {
  const auto type = c.params().at("dtype").get<std::string>();
  for (float& value : values) {
    if (type == "f16") value = vq::half(value).to_float();
    if (type == "bf16") value = vq::bfloat16(value).to_float();
  }
  return values;
}

// Calls f(policy) with the policy that the case asks for; skips the case when there is none.
template <class F>
void with_policy(const golden::test_case& c, F f) {
  const auto type = c.params().at("quant_type").get<std::string>();
  if (type == "nf4") {
    f(vq::nf4{});
  } else if (type == "fp4") {
    f(vq::fp4{});
  } else {
    c.skip(golden::reason::option_not_offered);
  }
}

// Calls f(granularity) with the block size of the case.
template <class F>
void with_block(const golden::test_case& c, F f) {
  switch (c.params().at("blocksize").get<int>()) {
    case 64:
      return f(vq::per_block<64>{});
    case 128:
      return f(vq::per_block<128>{});
    case 256:
      return f(vq::per_block<256>{});
    case 4096:
      return f(vq::per_block<4096>{});
    default:
      FAIL("unexpected block size");
  }
}

template <class Q>
struct tensors {
  golden::array<float> x;
  std::vector<vq::scale_param> params;
  std::vector<std::uint8_t> codes;

  explicit tensors(golden::array<float> values) : x(std::move(values)) {
    params.resize(static_cast<std::size_t>(Q::required(view()).params));
    codes.resize(static_cast<std::size_t>(Q::required(view()).codes));
  }
  vq::tensor_view<const float, 1> view() const {
    return {x.data.data(), {static_cast<index_type>(x.data.size())}};
  }
  std::vector<float> scales() const {
    std::vector<float> all;
    for (const vq::scale_param p : params) all.push_back(p.scale);
    return all;
  }
  std::vector<float> values() const {
    std::vector<float> all(x.data.size());
    const vq::tensor_view<float, 1> out{all.data(), {static_cast<index_type>(all.size())}};
    REQUIRE(vq::dequantize(Q{}, codes, params, out) == vq::status::ok);
    return all;
  }
};

}  // namespace

TEST_CASE("bitsandbytes: the levels of NF4 and FP4", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "get_4bit_type")) {
    with_policy(c, [&](auto policy) {
      using table = typename decltype(policy)::table;
      golden::check(c, "code", table::levels);
    });
  }
}

TEST_CASE("bitsandbytes: 4-bit codes, scales and values", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "quantize_4bit")) {
    if (c.params().at("compress_statistics").get<bool>()) continue;
    with_policy(c, [&](auto policy) {
      with_block(c, [&](auto block) {
        using Q = vq::quantizer<decltype(policy), decltype(block)>;
        tensors<Q> t(c.input<float>("x"));
        REQUIRE(vq::fit(Q{}, t.view(), t.params) == vq::status::ok);
        golden::check(c, "absmax", t.scales());
        REQUIRE(vq::quantize(Q{}, t.view(), t.params, t.codes) == vq::status::ok);
        std::vector<std::uint8_t> packed = t.codes;
        if (t.x.data.size() % 2 != 0) {  // the low nibble behind the last code: theirs is a zero's
          const float zero = policy.encode(0.f, {1.f});
          packed.back() = static_cast<std::uint8_t>(packed.back() | static_cast<int>(zero));
        }
        golden::check(c, "packed", packed);
        golden::check(c, "dequantized", rounded(c, t.values()));
      });
    });
  }
}

TEST_CASE("bitsandbytes: values of given 4-bit codes and scales", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "dequantize_4bit")) {
    with_policy(c, [&](auto policy) {
      using Q = vq::quantizer<decltype(policy), vq::per_block<64>>;
      const auto packed = c.input<std::uint8_t>("packed").data;
      tensors<Q> t({std::vector<float>(2 * packed.size()), {}});
      t.codes = packed;
      t.params.clear();
      for (const float scale : c.input<float>("absmax").data) t.params.push_back({scale});
      golden::check(c, "x", rounded(c, t.values()));
    });
  }
}
