// The JSON that says what a quantizer is, and weights of formats outside the menu.
#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <vq/io/quantized_checkpoint.hpp>
#include <vq/io/safetensors.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

using shape = std::vector<vq::index_type>;
using int4 = vq::quantizer<vq::uniform<4>, vq::per_group<32>>;

const std::string example =
    R"({"version": 1, "format": "int4-group32", "policy": "uniform[-7..7]", "bits": 4, )"
    R"("granularity": "per_group", "extent": 32, "storage": "nibbles_high_first", )"
    R"("scale_group": 0, "dtype": "F16", "shape": [16, 3, 3, 3]})";

std::string refusal(std::string_view text) {
  const auto d = vq::parse_quantizer_description(text, "f: w");
  if (d) return "no failure";
  CHECK(d.error().code == vq::status::bad_format);
  return vq::describe(d.error());
}
std::string with(const std::string& part, const std::string& other) {
  std::string text = example;
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), other);
}

// A format of one's own: few levels, a byte each.
struct five_levels {
  static constexpr const char* name = "five_levels";
  static constexpr float levels[32] = {-1, -0.5f, 0, 0.5f, 1, 2, 3, 4};
};
struct halves {
  static constexpr const char* name = "halves";
  static constexpr int bits = 5;
  using code_type = std::int8_t;
  struct param_type {
    std::int32_t exponent = 0;
  };
  constexpr param_type fit(vq::range) const noexcept { return {-1}; }
  template <vq::float_lanes V>
  constexpr V encode(V x, param_type) const noexcept {
    return vq::op::clamp(vq::op::round_even(x * V(2)), V(-15), V(15));
  }
  template <vq::float_lanes V>
  constexpr V decode(V code, param_type) const noexcept {
    return code * V(0.5f);
  }
};

// Writes a weight after `change` had a look at each tensor, and reads it as Q.
template <class Q, class F>
std::string refusal_of(const F& change) {
  const files::folder folder;
  const std::vector<float> values{0.5f, -1, 0.25f, 3, 1.5f, 0};
  const auto w =
      vq::quantize_weight(vq::scalar, Q{}, "name", values, shape{2, 3}, vq::dtype::f32, "w");
  REQUIRE(w);
  vq::safetensors_writer out;
  std::map<std::string, std::vector<std::byte>> kept;
  vq::for_each_tensor("w", *w, [&](vq::tensor_info t, std::span<const std::byte> bytes) {
    std::vector<std::byte>& own = kept[t.name];
    own.assign(bytes.begin(), bytes.end());
    if (change(t, own)) out.add(t.name, t.type, t.shape, own);
  });
  REQUIRE(out.write(folder / "m"));
  const auto file = vq::safetensors_file::open(folder / "m");
  REQUIRE(file);
  const auto read = vq::find_quantized<Q>(*file, "w");
  if (read) return "no failure";
  std::string text = vq::describe(read.error());
  const std::string path = (folder / "m").string() + ": ";
  REQUIRE(text.starts_with(path));
  return text.substr(path.size());
}

using info = vq::tensor_info;
using memory = std::vector<std::byte>;

void put(memory& bytes, std::size_t at, auto value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

}  // namespace

TEST_CASE("quantizer_description: written and read again", "[io]") {
  const shape conv{16, 3, 3, 3};
  const auto d = vq::describe_quantizer<int4>("int4-group32", conv, vq::dtype::f16);
  CHECK(vq::to_json(d) == example);
  const auto read = vq::parse_quantizer_description(example, "f");
  REQUIRE(read);
  CHECK(*read == d);
  // what the type says, not only its name
  using asymmetric = vq::quantizer<vq::uniform<4, vq::asymmetric>, vq::per_group<32>>;
  CHECK(vq::describe_quantizer<asymmetric>("int4-group32", conv, vq::dtype::f16).policy ==
        "uniform[-8..7] with zero points");
  using dense = vq::quantizer<vq::uniform<6>, vq::per_channel<0>, vq::stored_as<vq::bit_packed<6>>>;
  CHECK(vq::describe_quantizer<dense>("x", conv, vq::dtype::f16).storage == "bit_packed<6>");
  CHECK(vq::describe_quantizer<vq::quantizer<halves>>("x", conv, vq::dtype::f16).policy ==
        "halves");
}

TEST_CASE("quantizer_description: what breaks a rule is refused with a sentence", "[io]") {
  CHECK(refusal("{") == "f: w: not valid JSON in UTF-8");
  CHECK(refusal("1") == "f: w: must be a JSON object");
  CHECK(refusal(with("\"version\": 1", "\"version\": 2")) ==
        "f: w: version is 2, of a later writer; 1 is known here");
  CHECK(refusal(with("\"bits\": 4, ", "")) == "f: w: bits is missing");
  CHECK(refusal(with("\"bits\": 4", "\"bits\": -4")) ==
        "f: w: bits must be an integer from 0 to 2^31 - 1");
  CHECK(refusal(with("\"per_group\"", "3")) == "f: w: granularity must be a string");
  CHECK(refusal(with("F16", "float16")) == "f: w: unknown dtype 'float16'");
  CHECK(refusal(with("[16, 3, 3, 3]", "16")) == "f: w: shape must be an array of integers");
  CHECK(refusal(with("[16, 3, 3, 3]", "[1.5]")) ==
        "f: w: shape must contain integers from 0 to 2^57 only");
  CHECK(refusal(with("[16, 3, 3, 3]", "[4294967296, 4294967296]")) == "f: w: shape overflows");
  CHECK(refusal(with("]}", "], \"more\": 1}")) == "f: w: unknown field 'more'");
}

TEST_CASE("quantized_checkpoint: the worked example, to the byte", "[io]") {
  const std::vector<float> values{7, -3, 1.4f, 0.3f, 0, -0.7f};
  const auto w = vq::quantize_weight(vq::scalar, int4{}, "int4-group32", values, shape{2, 3},
                                     vq::dtype::f16, "P");
  REQUIRE(w);
  CHECK(w->codes == std::vector<std::uint8_t>{0x7d, 0x13, 0x09});
  CHECK(w->params.size() == 2);
  CHECK(w->params[0].scale == 1.f);
  CHECK(w->params[1].scale == 0.1f);
}

TEST_CASE("quantized_checkpoint: zero points, own parameters and own tables are kept", "[io]") {
  const auto nothing = [](info&, memory&) { return true; };
  CHECK(refusal_of<vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<0>>>(nothing) ==
        "no failure");
  CHECK(refusal_of<vq::quantizer<vq::uniform<16>, vq::per_channel<0>>>(nothing) == "no failure");
  CHECK(refusal_of<vq::quantizer<halves, vq::per_tensor>>(nothing) == "no failure");
  CHECK(refusal_of<vq::quantizer<vq::codebook<five_levels>, vq::per_block<64>>>(nothing) ==
        "no failure");
}

TEST_CASE("quantized_checkpoint: what does not match the description is refused", "[io]") {
  using asymmetric = vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<0>>;
  const auto without = [](const char* name) {
    return [name](info& t, memory&) { return t.name != name; };
  };
  CHECK(refusal_of<int4>(without("w.quantizer")) == "tensor 'w.quantizer': is not in the file");
  CHECK(refusal_of<int4>(without("w.codes")) ==
        "tensor 'w.codes': is missing, though 'w' needs it");
  CHECK(refusal_of<int4>(without("w.scales")) ==
        "tensor 'w.scales': is missing, though 'w' needs it");
  CHECK(refusal_of<asymmetric>(without("w.zero_points")) ==
        "tensor 'w.zero_points': is missing, though 'w' needs it");
  CHECK(refusal_of<vq::quantizer<halves, vq::per_tensor>>(without("w.params")) ==
        "tensor 'w.params': is missing, though 'w' needs it");
  CHECK(refusal_of<asymmetric>([](info& t, memory& bytes) {
          if (t.name == "w.zero_points") put(bytes, 4, std::int32_t{128});
          return true;
        }) == "tensor 'w.zero_points': value 1 is 128, no code of the format");
  CHECK(refusal_of<int4>([](info& t, memory& bytes) {
          if (t.name == "w.scales") put(bytes, 4, std::numeric_limits<float>::infinity());
          return true;
        }) == "tensor 'w.scales': value 1 of 2 is NaN or infinite");
  CHECK(refusal_of<asymmetric>([](info& t, memory&) {
          if (t.name == "w.codes") t.shape = {3, 2};
          return true;
        }) == "tensor 'w.codes': shape [3, 2] where [2, 3] is needed");
  CHECK(refusal_of<asymmetric>([](info& t, memory&) {
          if (t.name == "w.codes") t.type = vq::dtype::u8;
          return true;
        }) == "tensor 'w.codes': dtype U8 where I8 is needed");
  using own_table = vq::quantizer<vq::codebook<five_levels>, vq::per_block<64>>;
  CHECK(refusal_of<own_table>([](info& t, memory& bytes) {
          if (t.name == "w.codes") bytes[3] = std::byte{32};
          return true;
        }) == "tensor 'w.codes': value 3 is 32, no code of 5 bits");
  CHECK(refusal_of<own_table>([](info& t, memory& bytes) {
          if (t.name == "w.levels") put(bytes, 8, 0.1f);
          return true;
        }) == "tensor 'w.levels': these are not the levels of the format");
  const std::string other = refusal_of<int4>([](info& t, memory& bytes) {
    if (t.name == "w.quantizer") {
      std::string text(vq::as_text(bytes));
      text.replace(text.find("-7..7"), 5, "-8..7");
      std::memcpy(bytes.data(), text.data(), text.size());
    }
    return true;
  });
  CHECK(other.starts_with("tensor 'w': is described as {\"version\": 1, \"format\": \"name\", "
                          "\"policy\": \"uniform[-8..7]\""));
  CHECK(other.ends_with("\"shape\": [2, 3]} is read"));
}

TEST_CASE("quantized_checkpoint: what cannot be quantized is refused by name", "[io]") {
  std::vector<float> values(6);
  const auto refused = [&](const shape& extents) {
    const auto w = vq::quantize_weight(vq::scalar, int4{}, "int4-group32", values, extents,
                                       vq::dtype::f32, "fc.weight");
    return w ? "no failure" : vq::describe(w.error());
  };
  CHECK(refused({2, 3}) == "no failure");
  CHECK(refused({6}) == "no failure");
  CHECK(refused({5}) == "tensor 'fc.weight': shape [5] does not hold 6 values");
  values[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(refused({2, 3}) == "tensor 'fc.weight': value 5 of 6 is NaN or infinite");
  values.clear();
  CHECK(refused({0}) == "tensor 'fc.weight': has no values");
}
