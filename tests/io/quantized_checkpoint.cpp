// Weights in our own layout: every format that a recipe can name, written and read again.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <vq/io/quantized_checkpoint.hpp>
#include <vq/io/safetensors.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

using shape = std::vector<vq::index_type>;

std::vector<float> normal(std::size_t size) {
  std::mt19937 random(7);
  std::normal_distribution<float> draw(0.f, 0.02f);
  std::vector<float> values(size);
  for (float& x : values) x = draw(random);
  return values;
}

const shape extents{12, 3, 5, 7};  // a convolution: 12 x 105, no multiple of any group
const std::vector<float> values = normal(12 * 3 * 5 * 7);

// What one format does, with as little code of its own as possible: there are many.
struct weight_format {
  using tensors = std::vector<vq::tensor_info>;
  using reader = vq::result<std::vector<float>, vq::failure>;

  tensors (*announce)(const std::string& format) = nullptr;
  // Calls for every tensor; what is wrong, or nothing.
  std::string (*quantize)(const std::string& format,
                          void (*take)(void* to, const vq::tensor_info&,
                                       std::span<const std::byte>),
                          void* to) = nullptr;
  reader (*read)(const vq::safetensors_file& file, vq::index_type first,
                 std::size_t count) = nullptr;
};

template <class Q>
weight_format functions_of() {
  return {[](const std::string& format) {
            return vq::tensors_of<Q>("c.weight", format, extents, vq::dtype::f16);
          },
          [](const std::string& format, auto take, void* to) {
            const auto w = vq::quantize_weight(vq::simd::native, Q{}, format, values, extents,
                                               vq::dtype::f16, "c.weight");
            if (!w) return vq::describe(w.error());
            vq::for_each_tensor(
                "c.weight", *w,
                [&](const vq::tensor_info& t, std::span<const std::byte> b) { take(to, t, b); });
            return std::string();
          },
          [](const vq::safetensors_file& file, vq::index_type first,
             std::size_t count) -> weight_format::reader {
            const auto w = vq::find_quantized<Q>(file, "c.weight");
            if (!w) return w.error();
            std::vector<float> part(count);
            const vq::status s = vq::load_floats(vq::simd::native, *w, first, part);
            if (s != vq::status::ok) return vq::failure{s, {}};
            return part;
          }};
}

// Announces, quantizes, writes, reads and decodes.
std::vector<float> through_file(const files::folder& folder, const std::string& format,
                                const weight_format& f) {
  CAPTURE(format);
  const weight_format::tensors announced = f.announce(format);
  struct parts {
    weight_format::tensors infos;
    std::vector<std::vector<std::byte>> bytes;
  } got;
  REQUIRE(f.quantize(
              format,
              [](void* to, const vq::tensor_info& t, std::span<const std::byte> b) {
                static_cast<parts*>(to)->infos.push_back(t);
                static_cast<parts*>(to)->bytes.emplace_back(b.begin(), b.end());
              },
              &got) == "");
  REQUIRE(got.infos.size() == announced.size());
  vq::safetensors_writer out;
  std::uint64_t bytes_of_all = 0;
  for (std::size_t i = 0; i < announced.size(); ++i) {
    const vq::tensor_info& t = got.infos[i];
    CHECK(t.name == announced[i].name);
    CHECK(t.shape == announced[i].shape);
    CHECK(t.stored_bytes() == got.bytes[i].size());
    const bool is_text = t.name == "c.weight.quantizer" || t.name == "c.weight.nested_offset";
    bytes_of_all += is_text ? 0 : got.bytes[i].size();
    out.add(t.name, t.type, t.shape, got.bytes[i]);
  }
  // the planner counts the same, computed from the formula of each format
  CHECK(bytes_of_all == vq::stored_bytes<vq::weight_formats>(format, extents));

  REQUIRE(out.write(folder / "m"));
  const auto file = vq::safetensors_file::open(folder / "m");
  REQUIRE(file);
  CHECK(vq::is_quantized(*file, "c.weight"));
  const auto description = vq::find_description(*file, "c.weight");
  REQUIRE(description);
  CHECK(description->format == format);
  CHECK(description->shape == extents);
  CHECK(description->type == vq::dtype::f16);
  const auto all = f.read(*file, 0, values.size());
  INFO((all ? std::string() : vq::describe(all.error())));
  REQUIRE(all);
  const auto part = f.read(*file, 777, 333);
  REQUIRE(part);
  CHECK(std::equal(part->begin(), part->end(), all->begin() + 777));
  CHECK(f.read(*file, 1000, 333).error().code == vq::status::size_mismatch);
  return *all;
}

// The same values by the scalar reference, without a file in between.
template <class Q>
std::vector<float> by_reference() {
  const vq::tensor_view<const float, 2> view{values.data(), {12, 105}};
  std::vector<typename Q::param_type> params(static_cast<std::size_t>(Q::required(view).params));
  std::vector<typename Q::stored_type> codes(static_cast<std::size_t>(Q::required(view).codes));
  REQUIRE(vq::fit_quantize(Q{}, view, params, codes) == vq::status::ok);
  std::vector<float> want(values.size());
  const vq::tensor_view<float, 2> out{want.data(), view.extents()};
  if constexpr (vq::has_nested_scales<Q>) {
    const vq::sizes need = vq::required_scales(Q{}, view);
    std::vector<std::uint8_t> scale_codes(static_cast<std::size_t>(need.codes));
    std::vector<vq::scale_param> absmax(static_cast<std::size_t>(need.params));
    vq::nested_scales nested{scale_codes, absmax};
    REQUIRE(vq::quantize_scales(Q{}, params, nested) == vq::status::ok);
    REQUIRE(vq::dequantize(Q{}, codes, nested, out) == vq::status::ok);
  } else {
    REQUIRE(vq::dequantize(Q{}, codes, params, out) == vq::status::ok);
  }
  return want;
}

// Integers and codebooks lose 6 dB with every bit (8 bits of normal values in one scale are at
// 38 dB), floats of 3 and 2 bits of mantissa are at 31 and 25 dB whatever the scale.
void check_error(const std::string& format, int bits, const std::vector<float>& got) {
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(values[i]), d = static_cast<double>(got[i]) - x;
    noise += d * d;
    signal += x * x;
  }
  CAPTURE(format);
  const bool is_float = format.starts_with("e4m3") || format.starts_with("e5m2");
  CHECK(noise / signal < (is_float ? 0.0032 : 3 * std::exp2(3 - 2 * bits)));
}

}  // namespace

TEST_CASE("quantized_checkpoint: every format of the menu comes back from a file", "[io]") {
  const files::folder folder;
  std::set<std::string> descriptions;
  vq::weight_formats::for_each([&]<class Q>(vq::index_type, Q) {
    const std::string format = vq::format_name<Q>();
    const std::vector<float> got = through_file(folder, format, functions_of<Q>());
    check_error(format, Q::policy_type::bits, got);
    descriptions.insert(vq::to_json(vq::describe_quantizer<Q>("", extents, vq::dtype::f16)));
  });
  // no two formats of the menu have one description
  CHECK(descriptions.size() == static_cast<std::size_t>(vq::weight_formats::size));
}

TEST_CASE("quantized_checkpoint: what comes back is what the reference computes", "[io]") {
  const files::folder folder;
  using formats =
      vq::menu<vq::quantizer<vq::nf4, vq::per_block<64>>,
               vq::quantizer<vq::fp4, vq::per_block<32>, vq::double_quantized<256>>,
               vq::quantizer<vq::uniform<8>, vq::per_channel<0>>,
               vq::quantizer<vq::uniform<6>, vq::per_channel<0>, vq::stored_as<vq::bit_packed<6>>>,
               vq::quantizer<vq::uniform<4>, vq::per_group<64>>,
               vq::quantizer<vq::uniform<3>, vq::per_group<32>>,
               vq::quantizer<vq::uniform<2>, vq::per_tensor>,
               vq::quantizer<vq::e4m3, vq::per_channel<0>>>;
  formats::for_each([&]<class Q>(vq::index_type, Q) {
    const std::string format = vq::format_name<Q>();
    CAPTURE(format);
    const bool same = through_file(folder, format, functions_of<Q>()) == by_reference<Q>();
    CHECK(same);
  });
}
