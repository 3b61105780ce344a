// 8-bit weights of bitsandbytes.
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <vq/io/llm_int8.hpp>
#include <vq/io/safetensors.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

const std::vector<float> weights{1.27f, -0.5f, 0.004f, 0, 0, 0, -254.f, 1.f, 3.f};

vq::safetensors_writer writer_of(const vq::llm_int8_weight& w) {
  vq::safetensors_writer out;
  vq::for_each_tensor("fc", w, [&](const vq::tensor_info& t, auto bytes) {
    out.add(t.name, t.type, t.shape, bytes);
  });
  return out;
}

}  // namespace

TEST_CASE("llm_int8: codes and row scales of three rows", "[io]") {
  const auto w = vq::quantize_llm_int8(vq::scalar, weights, {3, 3}, "fc.weight");
  REQUIRE(w);
  CHECK(w->codes ==
        std::vector<std::int8_t>{127, -50, 0, 0, 0, 0, -127, 0, 2});  // 0.5 -> 0, 1.5 -> 2
  CHECK(w->absmax[0].scale == 1.27f);
  CHECK(w->absmax[1].scale == 0.f);
  CHECK(w->absmax[2].scale == 254.f);
  const auto infos = vq::tensors_of_llm_int8("fc", 3, 3);
  std::size_t i = 0;
  vq::for_each_tensor("fc", *w, [&](const vq::tensor_info& t, auto bytes) {
    CHECK(t.name == infos[i].name);
    CHECK(t.stored_bytes() == bytes.size());
    ++i;
  });
  CHECK(i == 3);
}

TEST_CASE("llm_int8: written, found and read again, wide as scalar", "[io]") {
  const files::folder folder;
  std::vector<float> x(37 * 41);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919) % 1000) - 499.5f;
  const auto w = vq::quantize_llm_int8(vq::simd::native, x, {37, 41}, "fc.weight");
  REQUIRE(w);
  CHECK(w->codes == vq::quantize_llm_int8(vq::scalar, x, {37, 41}, "fc.weight")->codes);
  REQUIRE(writer_of(*w).write(folder / "m"));
  const auto file = vq::safetensors_file::open(folder / "m");
  REQUIRE(file);
  CHECK(vq::is_llm_int8(*file, "fc"));
  CHECK(file->get("fc.weight_format").value()->shape.empty());
  const auto view = vq::find_llm_int8(*file, "fc");
  REQUIRE(view);
  std::vector<float> wide(x.size()), narrow(x.size()), part(100);
  REQUIRE(vq::load_floats(vq::simd::native, *view, 0, wide) == vq::status::ok);
  REQUIRE(vq::load_floats(vq::scalar, *view, 0, narrow) == vq::status::ok);
  CHECK(wide == narrow);
  REQUIRE(vq::load_floats(vq::simd::native, *view, 333, part) == vq::status::ok);
  CHECK(std::equal(part.begin(), part.end(), wide.begin() + 333));
  CHECK(vq::load_floats(vq::scalar, *view, 1500, part) == vq::status::size_mismatch);
  float worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) worst = (std::max)(worst, std::abs(wide[i] - x[i]));
  CHECK(worst <= 499.5f / 254 * 1.001f);  // half a step
}

TEST_CASE("llm_int8: what does not fit together is refused with a sentence", "[io]") {
  const files::folder folder;
  const std::string path = (folder / "m").string();
  const auto w = vq::quantize_llm_int8(vq::scalar, weights, {3, 3}, "fc.weight");
  REQUIRE(w);
  const auto refusal = [&](auto change) {
    vq::safetensors_writer out;
    vq::for_each_tensor("fc", *w, [&](vq::tensor_info t, std::span<const std::byte> bytes) {
      if (change(t, bytes)) out.add(t.name, t.type, t.shape, bytes);
    });
    REQUIRE(out.write(path));
    const auto file = vq::safetensors_file::open(path);
    REQUIRE(file);
    const auto found = vq::find_llm_int8(*file, "fc");
    return found ? "no failure" : vq::describe(found.error());
  };
  using info = vq::tensor_info;
  using span = std::span<const std::byte>;
  CHECK(refusal([](info&, span&) { return true; }) == "no failure");
  CHECK(refusal([](info& t, span&) { return t.name != "fc.weight"; }) ==
        path + ": tensor 'fc.weight': is not in the file");
  CHECK(refusal([](info& t, span&) { return t.name != "fc.SCB"; }) ==
        path + ": tensor 'fc.SCB': is missing, though 'fc.weight' needs it");
  CHECK(refusal([](info& t, span&) {
          if (t.name == "fc.weight") t.type = vq::dtype::u8;
          return true;
        }) == path + ": tensor 'fc.weight': dtype U8 where I8 is needed");
  CHECK(refusal([](info& t, span&) {
          if (t.name == "fc.weight") t.shape = {9};
          return true;
        }) == path + ": tensor 'fc.weight': shape [9] where a matrix is needed");
  static constexpr std::byte two[1]{std::byte{2}}, nine[1]{std::byte{9}};
  CHECK(refusal([](info& t, span& bytes) {
          if (t.name == "fc.weight_format") bytes = two;
          return true;
        }) == path + ": tensor 'fc.weight': its weight_format is 2, a tiled layout of older "
                     "writers; only 0, row-major, is read");
  CHECK(refusal([](info& t, span& bytes) {
          if (t.name == "fc.weight_format") bytes = nine;
          return true;
        }) == path + ": tensor 'fc.weight': its weight_format is 9, which is no known layout");

  std::vector<float> bad = weights;
  bad[4] = std::numeric_limits<float>::infinity();
  const auto infinite = vq::quantize_llm_int8(vq::simd::native, bad, {3, 3}, "fc.weight");
  REQUIRE_FALSE(infinite);
  CHECK(infinite.error().code == vq::status::not_finite);
  CHECK(vq::describe(infinite.error()) == "tensor 'fc.weight': value 4 of 9 is NaN or infinite");
  CHECK_FALSE(vq::quantize_llm_int8(vq::scalar, weights, {3, 2}, "w"));
  CHECK_FALSE(vq::quantize_llm_int8(vq::scalar, {}, {0, 2}, "w"));
}
