// 4-bit weights of bitsandbytes: what is written, what is read, what is refused.
#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <vq/io/checkpoint.hpp>
#include <vq/io/four_bit.hpp>
#include <vq/io/safetensors.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

using shape = std::vector<vq::index_type>;

std::vector<float> normal(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw(0.f, 0.02f);
  std::vector<float> values(size);
  for (float& x : values) x = draw(random);
  return values;
}

// Tensors in memory, which can be damaged one by one and found like those of a file.
struct tensor_set {
  struct stored {
    vq::dtype type;
    shape extents;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, stored> tensors;
  mutable vq::tensor_entry found;

  void add(const vq::tensor_info& t, std::span<const std::byte> bytes) {
    tensors[t.name] = {t.type, t.shape, {bytes.begin(), bytes.end()}};
  }
  void add_text(const std::string& name, std::string_view text) {
    add({name, vq::dtype::u8, {static_cast<vq::index_type>(text.size())}}, files::bytes(text));
  }
  std::string name() const { return "f"; }
  // Each call gives another entry its place: enough for one tensor at a time.
  const vq::tensor_entry* find(std::string_view name) const {
    const auto at = tensors.find(std::string(name));
    if (at == tensors.end()) return nullptr;
    entries[at->first] = {{at->first, at->second.type, at->second.extents},
                          0,
                          at->second.bytes.size(),
                          at->second.bytes};
    return &entries[at->first];
  }
  mutable std::map<std::string, vq::tensor_entry> entries;
};

tensor_set stored(const vq::four_bit_weight& w) {
  tensor_set set;
  vq::for_each_tensor("w", w, [&](const vq::tensor_info& t, auto bytes) { set.add(t, bytes); });
  return set;
}

tensor_set quantized(const vq::four_bit_format& format, const std::vector<float>& values,
                     const shape& extents) {
  const auto w = vq::quantize_four_bit(vq::scalar, format, values, extents, vq::dtype::f16, "w");
  REQUIRE(w);
  return stored(*w);
}

std::vector<float> read(const tensor_set& set) {
  const auto w = vq::find_four_bit(set, "w");
  INFO((w ? std::string() : vq::describe(w.error())));
  REQUIRE(w);
  std::vector<float> values(static_cast<std::size_t>(w->size()));
  REQUIRE(vq::load_floats(vq::scalar, *w, 0, values) == vq::status::ok);
  return values;
}

std::string refusal(const tensor_set& set) {
  const auto w = vq::find_four_bit(set, "w");
  return w ? "no failure" : vq::describe(w.error());
}

template <class T>
std::vector<T> values_of(const tensor_set& set, const std::string& name) {
  const std::vector<std::byte>& bytes = set.tensors.at(name).bytes;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

constexpr vq::four_bit_format plain_nf4{.nested = false};
const std::string state_name = "w.quant_state.bitsandbytes__nf4";

}  // namespace

TEST_CASE("four_bit: the worked example, to the byte", "[io]") {
  std::vector<float> x(64);
  const float first[8] = {0.5f, -1, 0.25f, 0, 0.1f, -0.3f, 0.75f, 1.5f};
  std::copy(first, first + 8, x.begin());
  const tensor_set set = quantized(plain_nf4, x, {8, 8});
  const auto codes = values_of<std::uint8_t>(set, "w");
  REQUIRE(codes.size() == 32);
  CHECK(codes[0] == 0xb1);
  CHECK(codes[1] == 0x97);
  CHECK(codes[2] == 0x85);
  CHECK(codes[3] == 0xcf);
  CHECK(codes[31] == 0x77);
  CHECK(set.tensors.at("w").extents == shape{32, 1});
  CHECK(values_of<float>(set, "w.absmax") == std::vector<float>{1.5f});
  CHECK(set.tensors.at("w.quant_map").extents == shape{16});
  CHECK(
      files::bytes(R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [8, 8]})")
          .size() == set.tensors.at(state_name).bytes.size());
  const float want[8] = {0.5068729f,  -1.0442892f,  0.2413953f,  0,
                         0.11937045f, -0.27716014f, 0.66106474f, 1.5f};
  const std::vector<float> back = read(set);
  for (std::size_t i = 0; i < 8; ++i) CHECK(back[i] == Approx(want[i]).margin(1e-7));
}

TEST_CASE("four_bit: scales that are quantized, by the worked example", "[io]") {
  std::vector<float> x(4 * 32);
  const float absmax[4] = {1.5f, 1.f, 2.f, 1.25f};
  for (std::size_t i = 0; i < 4; ++i) x[32 * i + 5] = absmax[i];
  const tensor_set set = quantized({.blocksize = 32}, x, {4, 32});
  CHECK(values_of<std::uint8_t>(set, "w.absmax") == std::vector<std::uint8_t>{191, 15, 255, 47});
  CHECK(values_of<float>(set, "w.nested_absmax") == std::vector<float>{0.5625f});
  const auto map = values_of<float>(set, "w.nested_quant_map");
  REQUIRE(map.size() == 256);
  CHECK(map[127] == 0);
  CHECK(map[255] == 1);
  const auto state = vq::parse_quant_state(
      vq::as_text(std::span<const std::byte>(set.tensors.at(state_name).bytes)), "");
  REQUIRE(state);
  CHECK(state->nested_offset == 1.4375);
  const std::vector<float> back = read(set);
  const float want[4] = {1.4977051f, 0.99760747f, 2.f, 1.2507324f};
  for (std::size_t i = 0; i < 4; ++i) CHECK(back[32 * i + 5] == Approx(want[i]).epsilon(1e-6));
}

TEST_CASE("four_bit: what is announced is what comes", "[io]") {
  const std::vector<float> x = normal(50 * 131);
  for (const vq::four_bit_type type : {vq::four_bit_type::nf, vq::four_bit_type::fp}) {
    for (const vq::index_type blocksize : {32, 64, 128, 256, 512, 1024, 2048, 4096}) {
      for (const bool nested : {false, true}) {
        const vq::four_bit_format format{type, blocksize, nested};
        const shape extents{50, 131};
        const auto announced = vq::tensors_of(format, "w", extents, vq::dtype::bf16);
        const auto w =
            vq::quantize_four_bit(vq::simd::native, format, x, extents, vq::dtype::bf16, "w");
        REQUIRE(w);
        std::size_t i = 0;
        vq::for_each_tensor("w", *w, [&](const vq::tensor_info& t, auto bytes) {
          REQUIRE(i < announced.size());
          CHECK(t.name == announced[i].name);
          CHECK(t.type == announced[i].type);
          CHECK(t.stored_bytes() == bytes.size());
          if (++i < announced.size()) {
            CHECK(t.shape == announced[i - 1].shape);
          } else {
            CHECK(t.shape[0] <= announced[i - 1].shape[0]);
          }
        });
        CHECK(i == announced.size());

        // scalar and wide agree, and the values are within a step of the largest
        const auto reference =
            vq::quantize_four_bit(vq::scalar, format, x, extents, vq::dtype::bf16, "w");
        REQUIRE(reference);
        CHECK(w->codes == reference->codes);
        CHECK(w->absmax_codes == reference->absmax_codes);
        const tensor_set set = stored(*w);
        const auto view = vq::find_four_bit(set, "w");
        REQUIRE(view);
        CHECK(view->shape == extents);
        std::vector<float> wide(x.size()), part(777);
        REQUIRE(vq::load_floats(vq::simd::native, *view, 0, wide) == vq::status::ok);
        CHECK(wide == read(set));
        REQUIRE(vq::load_floats(vq::simd::native, *view, 1001, part) == vq::status::ok);
        CHECK(std::equal(part.begin(), part.end(), wide.begin() + 1001));
        CHECK(vq::load_floats(vq::scalar, *view, 6000, part) == vq::status::size_mismatch);
        float worst = 0;
        for (std::size_t k = 0; k < x.size(); ++k)
          worst = (std::max)(worst, std::abs(wide[k] - x[k]));
        CHECK(worst < 0.02f);
      }
    }
  }
}

TEST_CASE("four_bit: short blocks, odd sizes and zeros", "[io]") {
  // an odd number of values: the last low nibble is the code of zero
  CHECK(values_of<std::uint8_t>(quantized(plain_nf4, {1, 1, 1}, {3}), "w") ==
        std::vector<std::uint8_t>{0xff, 0xf7});
  CHECK(values_of<std::uint8_t>(
            quantized({.type = vq::four_bit_type::fp, .nested = false}, {1, 1, 1}, {3}), "w") ==
        std::vector<std::uint8_t>{0x33, 0x30});
  // a full block of zeros has scale 0, a short one 1e-38
  const tensor_set zeros = quantized(plain_nf4, std::vector<float>(65), {65});
  CHECK(values_of<float>(zeros, "w.absmax") == std::vector<float>{0.f, 1e-38f});
  CHECK(values_of<std::uint8_t>(zeros, "w") == std::vector<std::uint8_t>(33, 0x77));
  CHECK(read(zeros) == std::vector<float>(65));
  // CUDA writes code 0 for a block of zeros: still zeros
  tensor_set cuda = zeros;
  std::fill_n(cuda.tensors["w"].bytes.begin(), 32, std::byte{0});
  const std::vector<float> values = read(cuda);
  CHECK(std::all_of(values.begin(), values.end(), [](float x) { return x == 0; }));
}

TEST_CASE("four_bit: codes may lie in another dtype or transposed", "[io]") {
  const std::vector<float> x = normal(8 * 32);
  const tensor_set original = quantized(plain_nf4, x, {8, 32});
  const std::vector<float> want = read(original);
  tensor_set set = original;
  set.tensors["w"].extents = {1, 128};
  CHECK(read(set) == want);
  set.tensors["w"] = {vq::dtype::bf16, {64, 1}, original.tensors.at("w").bytes};
  CHECK(read(set) == want);
  set.tensors["w"] = {vq::dtype::f32, {32, 1}, original.tensors.at("w").bytes};
  CHECK(read(set) == want);
}

TEST_CASE("four_bit: the levels and the map of the file are used", "[io]") {
  tensor_set set = quantized({.blocksize = 32}, normal(64), {64});
  const std::vector<float> before = read(set);
  auto level = values_of<float>(set, "w.quant_map");
  for (float& x : level) x *= 2;
  const auto bytes = std::as_bytes(std::span(level));
  set.tensors["w.quant_map"].bytes.assign(bytes.begin(), bytes.end());
  std::vector<float> after = read(set);
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i] == 2 * before[i]);

  auto map = values_of<float>(set, "w.nested_quant_map");
  std::fill(map.begin(), map.end(), 0.f);  // every scale becomes the offset
  const auto zeros = std::as_bytes(std::span(map));
  set.tensors["w.nested_quant_map"].bytes.assign(zeros.begin(), zeros.end());
  const auto view = vq::find_four_bit(set, "w");
  REQUIRE(view);
  CHECK(view->absmax[0].scale == static_cast<float>(view->state.nested_offset));
  CHECK(view->absmax[1].scale == view->absmax[0].scale);
}

TEST_CASE("four_bit: what cannot be quantized is refused by name", "[io]") {
  std::vector<float> x = normal(128);
  const auto refused = [&](const vq::four_bit_format& format, const shape& extents,
                           vq::dtype type = vq::dtype::f16) {
    const auto w = vq::quantize_four_bit(vq::simd::native, format, x, extents, type, "fc1.weight");
    return w ? "no failure" : vq::describe(w.error());
  };
  CHECK(refused({.blocksize = 48}, {128}) ==
        "tensor 'fc1.weight': the block size must be 32, 64, 128, ... or 4096, not 48");
  CHECK(refused({}, {3, 5}) == "tensor 'fc1.weight': shape [3, 5] does not hold 128 values");
  CHECK(refused({}, {128}, vq::dtype::f64) ==
        "tensor 'fc1.weight': dtype F64 where F16, BF16 or F32 is needed");
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    x[77] = bad;
    CHECK(refused({}, {128}) == "tensor 'fc1.weight': value 77 of 128 is NaN or infinite");
  }
  x.clear();
  CHECK(refused({}, {0}) == "tensor 'fc1.weight': has no values");
}

TEST_CASE("four_bit: a set of tensors that does not fit together is refused", "[io]") {
  const tensor_set plain = quantized(plain_nf4, normal(8 * 32), {8, 32});
  const tensor_set nested = quantized({}, normal(8 * 32), {8, 32});
  const auto without = [](tensor_set set, const std::string& name) {
    REQUIRE(set.tensors.erase(name) == 1);
    return refusal(set);
  };
  const auto with = [](tensor_set set, auto damage) {
    damage(set);
    return refusal(set);
  };
  CHECK(refusal(plain) == "no failure");
  CHECK(refusal(nested) == "no failure");
  CHECK(vq::is_four_bit(plain, "w"));
  CHECK_FALSE(vq::is_four_bit(plain, "v"));
  CHECK(without(plain, "w") == "f: tensor 'w': is not in the file");
  CHECK(without(plain, state_name) ==
        "f: tensor 'w': has no quant_state.bitsandbytes__nf4 or __fp4 beside it");
  CHECK(with(plain, [](tensor_set& s) { s.add_text("w.quant_state.bitsandbytes__fp4", "{}"); }) ==
        "f: tensor 'w': has two quant_states beside it, nf4 and fp4");
  CHECK(with(plain, [](tensor_set& s) {
          auto moved = s.tensors.extract(state_name);
          moved.key() = "w.quant_state.bitsandbytes__fp4";
          s.tensors.insert(std::move(moved));
        }) == "f: tensor 'w': its quant_state is called fp4, but says nf4");
  CHECK(with(plain, [](tensor_set& s) { s.add_text(state_name, "{"); }) ==
        "f: tensor 'w.quant_state.bitsandbytes__nf4': not valid JSON in UTF-8");
  CHECK(with(plain, [](tensor_set& s) { s.tensors[state_name].type = vq::dtype::i8; }) ==
        "f: tensor 'w': its quant_state has dtype I8 where U8 is needed");
  CHECK(with(plain, [](tensor_set& s) {
          s.tensors["w"].extents = {64, 2};
        }) == "f: tensor 'w': shape [64, 2] where packed codes have [n, 1]");
  for (const std::size_t size : {127u, 129u}) {
    CHECK(with(plain,
               [&](tensor_set& s) {
                 s.tensors["w"].bytes.resize(size);
                 s.tensors["w"].extents = {static_cast<vq::index_type>(size), 1};
               }) ==
          "f: tensor 'w': shape [8, 32] of its quant_state takes 128 bytes of codes, but "
          "there are " +
              std::to_string(size));
  }
  CHECK(without(plain, "w.quant_map") ==
        "f: tensor 'w.quant_map': is missing, though 'w' needs it");
  CHECK(without(plain, "w.absmax") == "f: tensor 'w.absmax': is missing, though 'w' needs it");
  CHECK(with(plain, [](tensor_set& s) {
          s.tensors["w.absmax"].bytes.resize(12);
          s.tensors["w.absmax"].extents = {3};
        }) == "f: tensor 'w.absmax': has 3 values where 4 are needed");
  CHECK(with(plain, [](tensor_set& s) { s.tensors["w.absmax"].type = vq::dtype::u8; }) ==
        "f: tensor 'w.absmax': dtype U8 where F32 is needed");
  CHECK(with(plain, [](tensor_set& s) {
          const float nan = std::numeric_limits<float>::quiet_NaN();
          std::memcpy(s.tensors["w.absmax"].bytes.data() + 8, &nan, 4);
        }) == "f: tensor 'w.absmax': value 2 of 4 is NaN or infinite");

  CHECK(without(nested, "w.absmax") == "f: tensor 'w': has no absmax beside it");
  CHECK(without(nested, "w.nested_quant_map") ==
        "f: tensor 'w.nested_quant_map': is missing, though 'w' needs it");
  CHECK(without(nested, "w.nested_absmax") ==
        "f: tensor 'w.nested_absmax': is missing, though 'w' needs it");
  CHECK(with(nested, [](tensor_set& s) { s.tensors["w.absmax"].type = vq::dtype::i8; }) ==
        "f: tensor 'w': its absmax has dtype I8 where nested statistics have U8");
  CHECK(with(nested, [](tensor_set& s) {
          s.tensors["w.absmax"].bytes.resize(5);
          s.tensors["w.absmax"].extents = {5};
        }) == "f: tensor 'w': its absmax has 5 values where 4 are needed");
}

TEST_CASE("four_bit: through a file, the JSON last and of late size", "[io]") {
  const files::folder folder;
  const std::vector<float> x = normal(300 * 70);
  const shape extents{300, 70};
  const vq::four_bit_format format{};
  std::vector<vq::tensor_info> announced;
  std::vector<vq::tensor_info> late;
  for (const char* name : {"b.weight", "a.weight"}) {
    for (auto& t : vq::tensors_of(format, name, extents, vq::dtype::f16)) announced.push_back(t);
    late.push_back(announced.back());
    announced.pop_back();
  }
  auto out = vq::safetensors_stream::create(folder / "model.safetensors", announced,
                                            {{"format", "pt"}}, late);
  REQUIRE(out);
  std::string json;
  for (const char* name : {"a.weight", "b.weight"}) {
    const auto w =
        vq::quantize_four_bit(vq::simd::native, format, x, extents, vq::dtype::f16, name);
    REQUIRE(w);
    json = vq::to_json(w->state);
    vq::for_each_tensor(name, *w, [&](const vq::tensor_info& t, auto bytes) {
      const auto wrong = out->write(t.name, bytes);
      CHECK_FALSE(wrong);
    });
  }
  const auto size = out->commit();
  REQUIRE(size);
  CHECK(*size == std::filesystem::file_size(folder / "model.safetensors"));
  const auto model = vq::checkpoint::open(folder / "");
  REQUIRE(model);
  CHECK(model->tensors().size() == 12);
  const auto text = model->bytes("b.weight.quant_state.bitsandbytes__nf4");
  REQUIRE(text);
  CHECK(vq::as_text(*text) == json);  // not padded
  const auto a = vq::find_four_bit(*model, "a.weight");
  REQUIRE(a);
  std::vector<float> back(x.size());
  REQUIRE(vq::load_floats(vq::simd::native, *a, 0, back) == vq::status::ok);
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    noise += (static_cast<double>(back[i]) - static_cast<double>(x[i])) *
             (static_cast<double>(back[i]) - static_cast<double>(x[i]));
    signal += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  CHECK(noise / signal < 0.009);  // NF4 in blocks of 64: 0.0085
  CHECK(noise / signal > 0.008);
}

TEST_CASE("four_bit: a stored tensor gives the weight that its floats give", "[io]") {
  const auto values = normal(3 * 16384 + 77);
  const shape extents{static_cast<vq::index_type>(values.size())};
  for (const vq::four_bit_format& format : {vq::four_bit_format{},
                                            {vq::four_bit_type::nf, 4096, false},
                                            {vq::four_bit_type::fp, 128, true}}) {
    vq::tensor_entry source{{"w", vq::dtype::f32, extents}, 0, 4 * values.size(), {}};
    source.bytes = std::as_bytes(std::span(values));
    const auto piecewise = vq::quantize_four_bit(vq::simd::native, format, source);
    REQUIRE(piecewise);
    const auto at_once =
        vq::quantize_four_bit(vq::scalar, format, values, extents, vq::dtype::f32, "w");
    REQUIRE(at_once);
    const auto a = stored(*piecewise), b = stored(*at_once);
    REQUIRE(a.tensors.size() == b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) CHECK(tensor.bytes == b.tensors.at(name).bytes);
  }
}

TEST_CASE("four_bit: a stored tensor says which of its values is not finite", "[io]") {
  std::vector<float> values(40000, 1.f);
  values[33333] = std::numeric_limits<float>::infinity();
  vq::tensor_entry source{{"w", vq::dtype::f32, {40000}}, 0, 160000, {}};
  source.bytes = std::as_bytes(std::span(values));
  const auto w = vq::quantize_four_bit(vq::simd::native, {}, source);
  REQUIRE_FALSE(w);
  CHECK(w.error().code == vq::status::not_finite);
  CHECK(vq::describe(w.error()) == "tensor 'w': value 33333 of 40000 is NaN or infinite");
  source.type = vq::dtype::i32;
  CHECK(vq::quantize_four_bit(vq::simd::native, {}, source).error().code ==
        vq::status::type_mismatch);
}
