// Codes, scales and values of bitsandbytes' portable backend.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/io/bitsandbytes.hpp>
#include <vq/nn/llm_int8.hpp>
#include <vq/policy/dynamic.hpp>
#include <vq/policy/fp4.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/quant.hpp>
#include <vq/quantizer/double_quantized.hpp>

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

vq::dtype stored_type(const golden::test_case& c) {
  const auto type = c.params().at("dtype").get<std::string>();
  return type == "f16" ? vq::dtype::f16 : type == "bf16" ? vq::dtype::bf16 : vq::dtype::f32;
}

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

struct entry_map {
  const std::map<std::string, vq::tensor_entry>& entries;
  std::string name() const { return "map"; }
  const vq::tensor_entry* find(std::string_view key) const {
    const auto at = entries.find(std::string(key));
    return at == entries.end() ? nullptr : &at->second;
  }
};

// The outputs of a case, found by their roles.
class state_dict {
 public:
  explicit state_dict(const golden::test_case& c) : case_(&c) {}
  std::string name() const { return case_->name(); }
  const vq::tensor_entry* find(std::string_view role) const {
    const std::string key(role);
    return case_->has_output(key) ? &case_->output_entry(key) : nullptr;
  }

 private:
  const golden::test_case* case_;
};

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

// Behind an odd number of codes, the low nibble of the last byte: theirs is the code of zero.
template <class Q, class Policy>
std::vector<std::uint8_t> padded(const tensors<Q>& t, const Policy& policy) {
  std::vector<std::uint8_t> packed = t.codes;
  if (t.x.data.size() % 2 != 0) {
    const auto zero = static_cast<unsigned>(policy.encode(0.f, {1.f}));
    packed.back() = static_cast<std::uint8_t>(packed.back() | zero);
  }
  return packed;
}

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
        golden::check(c, "packed", padded(t, policy));
        golden::check(c, "dequantized", rounded(c, t.values()));
      });
    });
  }
}

TEST_CASE("bitsandbytes: scales that are quantized themselves", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "quantize_4bit")) {
    if (!c.params().at("compress_statistics").get<bool>()) continue;
    with_policy(c, [&](auto policy) {
      with_block(c, [&](auto block) {
        using Q = vq::quantizer<decltype(policy), decltype(block), vq::double_quantized<256>>;
        tensors<Q> t(c.input<float>("x"));
        REQUIRE(vq::fit_quantize(Q{}, t.view(), t.params, t.codes) == vq::status::ok);
        golden::check(c, "absmax_f32", t.scales());
        golden::check(c, "packed", padded(t, policy));

        const vq::sizes need = vq::required_scales(Q{}, t.view());
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(need.codes));
        std::vector<vq::scale_param> absmax(static_cast<std::size_t>(need.params));
        vq::nested_scales nested{codes, absmax};
        REQUIRE(vq::quantize_scales(Q{}, t.params, nested) == vq::status::ok);
        golden::check(c, "offset", nested.offset);

        // With their mean, which another order of summation rounds differently, all is exact.
        const float offset = c.output_value<float>("offset");
        REQUIRE(vq::quantize_scales(vq::scalar, Q{}, t.params, offset, nested) == vq::status::ok);
        CHECK(codes == c.output<std::uint8_t>("absmax").data);
        std::vector<float> groups;
        for (const vq::scale_param p : absmax) groups.push_back(p.scale);
        CHECK(groups == c.output<float>("nested_absmax").data);
        std::vector<float> values(t.x.data.size());
        const vq::tensor_view<float, 1> out{values.data(), t.view().extents()};
        REQUIRE(vq::dequantize(Q{}, t.codes, nested, out) == vq::status::ok);
        CHECK(rounded(c, values) == c.output<float>("dequantized").data);
        golden::check(c, "absmax", codes);
        golden::check(c, "nested_absmax", groups);
        golden::check(c, "dequantized", rounded(c, values));

        const auto view = vq::view_quantized<1>(Q{}, t.codes, nested, t.view().extents());
        std::vector<float> read(values.size());
        view.read(0, read);
        CHECK(read == values);
        CHECK(view(view.size() - 1) == values.back());
      });
    });
  }
}

TEST_CASE("bitsandbytes: 4-bit weights as they are stored", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "quantize_4bit")) {
    const auto x = c.input<float>("x");
    const auto& p = c.params();
    const vq::four_bit_format format{
        p.at("quant_type") == "nf4" ? vq::four_bit_type::nf : vq::four_bit_type::fp,
        p.at("blocksize").get<vq::index_type>(), p.at("compress_statistics").get<bool>()};
    const auto shape = p.at("shape").get<std::vector<vq::index_type>>();
    const auto w = vq::quantize_four_bit(vq::scalar, format, x.data, shape, stored_type(c), "x");
    REQUIRE(w);
    golden::check(c, "packed", w->codes);
    if (format.nested) {
      golden::check(c, "absmax", w->absmax_codes);
      golden::check(c, "offset", static_cast<float>(w->state.nested_offset));
    } else {
      golden::check(c, "absmax",
                    values_of<float>(std::as_bytes(std::span<const vq::scale_param>(w->absmax))));
    }
  }
}

TEST_CASE("bitsandbytes: stored 4-bit weights are read bit for bit", "[quantizer][golden]") {
  const auto tables = golden::cases("bitsandbytes", "get_4bit_type");
  const auto map = golden::cases("bitsandbytes", "create_dynamic_map").front();
  REQUIRE(map.name() == "table/dynamic_map_signed");
  for (const auto& c : golden::cases("bitsandbytes", "quantize_4bit")) {
    CAPTURE(c.name());
    const auto type = c.params().at("quant_type").get<std::string>();
    vq::quant_state state;
    state.quant_type = type == "nf4" ? vq::four_bit_type::nf : vq::four_bit_type::fp;
    state.blocksize = c.params().at("blocksize").get<index_type>();
    state.type = stored_type(c);
    state.shape = c.params().at("shape").get<std::vector<index_type>>();
    state.nested = c.params().at("compress_statistics").get<bool>();
    std::map<std::string, vq::tensor_entry> entries{{"w", c.output_entry("packed")},
                                                    {"w.absmax", c.output_entry("absmax")}};
    for (const auto& table : tables) {
      if (table.params().at("quant_type") == type) {
        entries.emplace("w.quant_map", table.output_entry("code"));
      }
    }
    if (state.nested) {
      state.nested_offset = static_cast<double>(c.output_value<float>("offset"));
      entries.emplace("w.nested_absmax", c.output_entry("nested_absmax"));
      entries.emplace("w.nested_quant_map", map.output_entry("code"));
    }
    const std::string json = vq::to_json(state);
    entries.emplace("w.quant_state.bitsandbytes__" + type,
                    vq::tensor_entry{{"", vq::dtype::u8, {static_cast<index_type>(json.size())}},
                                     0,
                                     json.size(),
                                     std::as_bytes(std::span(json))});
    const entry_map source{entries};
    const auto w = vq::find_four_bit(source, "w");
    INFO((w ? std::string() : vq::describe(w.error())));
    REQUIRE(w);
    std::vector<float> values(static_cast<std::size_t>(w->size()));
    REQUIRE(vq::load_floats(vq::scalar, *w, 0, values) == vq::status::ok);
    const bool same = rounded(c, values) == c.output<float>("dequantized").data;
    CHECK(same);
  }
}

TEST_CASE("bitsandbytes: the dynamic 8-bit map", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "create_dynamic_map")) {
    if (c.name() == "table/dynamic_map_signed") {
      golden::check(c, "code", vq::dynamic_table::levels);
    } else {
      c.skip(golden::reason::option_not_offered);
    }
  }
}

TEST_CASE("bitsandbytes: 8-bit dynamic codes, scales and values", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "quantize_blockwise")) {
    if (c.params().at("code") != "dynamic_map_signed") {
      c.skip(golden::reason::option_not_offered);
      continue;
    }
    with_block(c, [&](auto block) {
      using Q = vq::quantizer<vq::dynamic8, decltype(block)>;
      tensors<Q> t(c.input<float>("x"));
      REQUIRE(vq::fit_quantize(Q{}, t.view(), t.params, t.codes) == vq::status::ok);
      golden::check(c, "absmax", t.scales());
      golden::check(c, "q", t.codes);
      golden::check(c, "dequantized", rounded(c, t.values()));
    });
  }
}

TEST_CASE("bitsandbytes: the tensors of a stored layer", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "Linear4bit_state_dict")) {
    const auto x = c.input<float>("weight_original");
    const bool nested = c.params().at("compress_statistics").get<bool>();
    const auto type =
        c.params().at("quant_type") == "nf4" ? vq::four_bit_type::nf : vq::four_bit_type::fp;
    const auto w = vq::quantize_four_bit(vq::scalar, {type, 64, nested}, x.data, x.shape,
                                         stored_type(c), "weight");
    REQUIRE(w);
    std::vector<std::string> keys{"bias"};
    vq::for_each_tensor("weight", *w, [&](const vq::tensor_info& t, std::span<const std::byte> b) {
      keys.push_back(t.name);
      CHECK(t.shape == c.output_entry(t.name).shape);
      CHECK(t.type == c.output_entry(t.name).type);
      if (t.type == vq::dtype::f32) {
        golden::check(c, t.name, values_of<float>(b));
      } else if (nested && t.name.find("quant_state") != std::string::npos) {
        // The offset follows the order of summation; all other fields are those of the index.
        const auto text = c.params().at("quant_state_json").get<std::string>();
        auto want = vq::parse_quant_state(text, "");
        REQUIRE(want);
        CHECK(vq::to_json(*want) == text);
        CHECK(golden::ulps_between(static_cast<float>(want->nested_offset),
                                   static_cast<float>(w->state.nested_offset)) <= 8);
        want->nested_offset = w->state.nested_offset;
        CHECK(*want == w->state);
      } else {
        golden::check(c, t.name, values_of<std::uint8_t>(b));
      }
    });
    auto want = c.params().at("keys").get<std::vector<std::string>>();
    std::sort(keys.begin(), keys.end());
    std::sort(want.begin(), want.end());
    CHECK(keys == want);
  }
}

TEST_CASE("bitsandbytes: stored layers are read", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "Linear4bit_state_dict")) {
    const state_dict tensors(c);
    const auto w = vq::find_four_bit(tensors, "weight");
    REQUIRE(w);
    CHECK(w->state.type == stored_type(c));
    CHECK(w->shape == c.input_entry("weight_original").shape);
    const auto text = c.params().at("quant_state_json").get<std::string>();
    CHECK(vq::to_json(w->state) == text);
    std::vector<float> values(static_cast<std::size_t>(w->size()));
    REQUIRE(vq::load_floats(vq::scalar, *w, 0, values) == vq::status::ok);
    // Each value is a level of its block: absmax, as the original has it, times quant_map.
    const auto x = c.input<float>("weight_original").data;
    const float loss = w->state.nested ? 0.008f : 0.f;
    bool close = true;
    for (std::size_t block = 0; block < x.size(); block += 64) {
      float absmax = 0;
      for (std::size_t i = block; i < block + 64; ++i) absmax = (std::max)(absmax, std::abs(x[i]));
      for (std::size_t i = block; i < block + 64; ++i) {
        const unsigned byte = w->codes[i / 2];
        const unsigned code = i % 2 == 0 ? byte >> 4 : byte & 15u;
        close = close && std::abs(values[i] - w->levels[code] * absmax) <= loss * absmax;
      }
    }
    CHECK(close);
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

TEST_CASE("bitsandbytes: 8-bit rows of LLM.int8()", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "int8_vectorwise_quant")) {
    const auto x = c.input<float>("x");
    const auto threshold = c.params().at("threshold").get<float>();
    const vq::tensor_view<const float, 2> view{x.data.data(), {x.shape.at(0), x.shape.at(1)}};
    std::vector<std::int8_t> codes(x.data.size());
    std::vector<vq::scale_param> absmax(static_cast<std::size_t>(view.extent(0)));
    std::vector<index_type> columns(static_cast<std::size_t>(view.extent(1)));
    const auto found = vq::quantize_rows(vq::scalar, view, threshold, codes, absmax, columns);
    REQUIRE(found);
    const auto row_absmax = values_of<float>(std::as_bytes(std::span(absmax)));
    golden::check(c, "row_absmax", row_absmax);
    golden::check(c, "q", codes);
    if (c.has_output("outlier_cols")) {
      columns.resize(static_cast<std::size_t>(*found));
      golden::check(c, "outlier_cols", columns);
    }
    if (c.has_output("dequantized")) {  // of their codes: those of f16 inputs may be one off
      const auto stored = c.output<std::int8_t>("q").data;
      std::vector<float> values(x.data.size());
      REQUIRE(vq::dequantize(vq::llm_int8_weights{}, stored, absmax,
                             vq::tensor_view<float, 2>{values.data(), view.extents()}) ==
              vq::status::ok);
      golden::check(c, "dequantized", values);
    }
  }
}

TEST_CASE("bitsandbytes: products of LLM.int8()", "[quantizer][golden]") {
  for (const auto& c : golden::cases("bitsandbytes", "int8_linear_matmul")) {
    const auto a = c.input<std::int8_t>("A"), b = c.input<std::int8_t>("B");
    const index_type rows = a.shape.at(0), inputs = a.shape.at(1), outputs = b.shape.at(0);
    const auto need = vq::packed_size(vq::shape_type<2>{outputs, inputs});
    std::vector<std::int8_t> memory(static_cast<std::size_t>(need.codes));
    std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
    const auto w = vq::pack_weights<std::int8_t>(
        vq::tensor_view<const std::int8_t, 2>{b.data.data(), {outputs, inputs}}, memory, sums);
    REQUIRE(w);
    const vq::tensor_view<const std::int8_t, 2> x{a.data.data(), {rows, inputs}};
    std::vector<std::int32_t> product(static_cast<std::size_t>(rows * outputs)),
        workspace(static_cast<std::size_t>(vq::linear_workspace(x, *w)));
    REQUIRE(vq::linear(x, 0, *w, {}, vq::to_accumulators{},
                       vq::tensor_view<std::int32_t, 2>{product.data(), {rows, outputs}},
                       workspace) == vq::status::ok);
    golden::check(c, "i32", product);

    // The output stage of llm_int8_linear.
    const auto row_absmax = c.input<float>("row_absmax").data;
    const auto col_absmax = c.input<float>("col_absmax").data;
    std::vector<vq::affine_param> params;
    for (const float s : row_absmax) params.push_back({s * vq::vectorwise_int8::one_product, 0});
    const std::vector<std::int32_t> no_sum{0};
    std::vector<float> y(product.size());
    const vq::to_float_by_row stage{.scales = std::span<const float>(col_absmax),
                                    .sums = std::span<const std::int32_t>(no_sum),
                                    .rows = params.data(),
                                    .output = y.data(),
                                    .row_step = outputs};
    REQUIRE(vq::linear(x, 0, *w, {}, stage, vq::tensor_view<float, 2>{y.data(), {rows, outputs}},
                       workspace) == vq::status::ok);
    golden::check(c, "f32", y);
  }
}
