// Files on disk: opened, viewed, converted, written, and damaged in every way.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <vq/io/safetensors.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"
#include "io/files.hpp"

namespace {

using shape = std::vector<vq::index_type>;

template <class T>
std::string message(const vq::result<T, vq::failure>& r) {
  return r ? "no failure" : vq::describe(r.error());
}

// Two tensors and metadata, in the order of the reference writer.
const std::string small_header =
    R"({"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("codes":{"dtype":"I8","shape":[5],"data_offsets":[24,29]}})";

std::string small_file() {
  const float weights[6] = {1, -2, 3.5f, 0, 1e-40f, 7};
  std::string header = small_header;
  header.append((8 - header.size() % 8) % 8, ' ');
  std::string file = files::safetensors(header);
  file.append(reinterpret_cast<const char*>(weights), sizeof weights);
  return file + std::string("\x01\x02\xff\x80\x7f", 5);
}

}  // namespace

TEST_CASE("safetensors: a file is viewed in place, mapped or read", "[io]") {
  const files::folder folder;
  files::write(folder / "small.safetensors", small_file());
  for (const auto access : {vq::file_access::map, vq::file_access::read}) {
    auto opened = vq::safetensors_file::open(folder / "small.safetensors", {.access = access});
    REQUIRE(opened);
    const vq::safetensors_file file = std::move(*opened);  // moving keeps the views
    CHECK(file.metadata().at("format") == "pt");
    REQUIRE(file.tensors().size() == 2);
    REQUIRE(file.find("a.weight") != nullptr);
    CHECK(file.find("a.weight") == &file.tensors()[0]);
    CHECK(file.find("codes") == &file.tensors()[1]);
    CHECK(file.find("a") == nullptr);
    CHECK(file.find("z") == nullptr);

    const auto weight = file.view<float, 2>("a.weight", {2, 3});
    REQUIRE(weight);
    CHECK((*weight)(0, 1) == -2.f);
    CHECK((*weight)(1, 2) == 7.f);
    CHECK(static_cast<const void*>(weight->data_handle()) == file.tensors()[0].bytes.data());
    const auto codes = file.view<std::int8_t, 1>("codes");
    REQUIRE(codes);
    CHECK((*codes)(3) == -128);
    CHECK(file.to_vector<std::int8_t>("codes").value() ==
          std::vector<std::int8_t>{1, 2, -1, -128, 127});
  }
}

TEST_CASE("safetensors: what was asked for must be what is stored", "[io]") {
  const files::folder folder;
  files::write(folder / "small.safetensors", small_file());
  const std::string path = (folder / "small.safetensors").string();
  const auto file = vq::safetensors_file::open(path);
  REQUIRE(file);

  const auto missing = file->view<float, 1>("b");
  CHECK(missing.error().code == vq::status::not_found);
  CHECK(message(missing) == path + ": tensor 'b': the file has no such tensor");
  const auto type = file->view<float, 1>("codes");
  CHECK(type.error().code == vq::status::type_mismatch);
  CHECK(message(type) == path + ": tensor 'codes': dtype I8 where F32 is needed");
  const auto rank = file->view<float, 4>("a.weight");
  CHECK(rank.error().code == vq::status::size_mismatch);
  CHECK(message(rank) ==
        path + ": tensor 'a.weight': shape [2, 3] has 2 dimensions where 4 are needed");
  const auto extents = file->view<float, 2>("a.weight", {3, 2});
  CHECK(extents.error().code == vq::status::size_mismatch);
  CHECK(message(extents) == path + ": tensor 'a.weight': shape [2, 3] where [3, 2] is needed");
  CHECK(message(file->to_floats("codes")) ==
        path + ": tensor 'codes': dtype I8 where F32, F16, BF16 or F64 is needed");
}

TEST_CASE("safetensors: misaligned values are refused as a view and copied on demand", "[io]") {
  // The header has an odd length, so the float behind it lies at an odd address.
  const std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  REQUIRE((8 + header.size()) % 4 != 0);
  std::string content = files::safetensors(header, 4);
  const float value = -6.25f;
  std::memcpy(content.data() + 8 + header.size(), &value, 4);
  const std::vector<char> aligned(content.begin(), content.end());
  const auto file = vq::safetensors_file::from_bytes(std::as_bytes(std::span(aligned)), "odd");
  REQUIRE(file);
  const auto view = file->view<float, 1>("x");
  REQUIRE_FALSE(view);
  CHECK(view.error().code == vq::status::misaligned);
  CHECK(message(view) == "odd: tensor 'x': the data begin at byte 0, not aligned for F32");
  CHECK(file->to_floats("x").value() == std::vector<float>{-6.25f});
  CHECK(file->to_vector<float>("x").value() == std::vector<float>{-6.25f});
}

TEST_CASE("safetensors: to_floats converts every float format", "[io]") {
  const files::folder folder;
  const std::vector<vq::half> halves{vq::half(0.1f), vq::half(-65504.f), vq::half(6e-8f)};
  const std::vector<vq::bfloat16> brains{vq::bfloat16(0.1f), vq::bfloat16(-3e38f)};
  const std::vector<double> doubles{0.1, 1e300, -0.0};
  vq::safetensors_writer out;
  out.add("f16", {3}, halves);
  out.add("bf16", {2}, brains);
  out.add("f64", {3}, doubles);
  REQUIRE(out.write(folder / "f"));
  const auto file = vq::safetensors_file::open(folder / "f");
  REQUIRE(file);
  CHECK(file->to_floats("f16").value() == std::vector<float>{0.0999755859375f, -65504.f, 0x1p-24f});
  CHECK(file->to_floats("bf16").value() == std::vector<float>{0.10009765625f, -0x1.c4p127f});
  CHECK(file->to_floats("f64").value() ==
        std::vector<float>{0.1f, std::numeric_limits<float>::infinity(), -0.f});
}

TEST_CASE("safetensors: the writer lays bytes out as the reference writer does", "[io]") {
  const files::folder folder;
  const std::int8_t codes[5] = {1, 2, -1, -128, 127};
  const float weights[6] = {1, -2, 3.5f, 0, 1e-40f, 7};
  vq::safetensors_writer out;
  out.add("codes", {5}, codes);
  out.add("a.weight", {2, 3}, weights);
  out.set_metadata("format", "tf");
  out.set_metadata("format", "pt");
  const auto bytes = out.write(folder / "small.safetensors");
  REQUIRE(bytes);
  CHECK(*bytes == small_file().size());
  CHECK(files::read(folder / "small.safetensors") == small_file());
  CHECK(folder.names() == std::vector<std::string>{"small.safetensors"});
}

TEST_CASE("safetensors: tensors are sorted by descending dtype, then by name", "[io]") {
  const files::folder folder;
  vq::safetensors_writer out;
  const std::byte zeros[64] = {};
  const auto add = [&](std::string name, vq::dtype type) {
    out.add(std::move(name), type, {8},
            std::span(zeros, static_cast<std::size_t>(vq::bits_of(type))));
  };
  for (std::size_t i = 0; i < vq::dtype_table.size(); ++i) {
    const auto type = static_cast<vq::dtype>((i * 7) % vq::dtype_table.size());
    add("b" + std::string(vq::name_of(type)), type);
    add("a" + std::string(vq::name_of(type)), type);
  }
  out.add("empty", vq::dtype::f32, {0, 7}, {});
  out.add("value", vq::dtype::f32, {}, std::span(zeros, 4));
  REQUIRE(out.write(folder / "all"));

  const auto file = vq::safetensors_file::open(folder / "all");
  REQUIRE(file);
  REQUIRE(file->tensors().size() == 46);
  CHECK(std::is_sorted(file->tensors().begin(), file->tensors().end(),
                       [](const vq::tensor_entry& a, const vq::tensor_entry& b) {
                         return a.type != b.type ? a.type > b.type : a.name < b.name;
                       }));
  CHECK(file->tensors()[0].name == "aU64");
  CHECK(file->tensors()[45].name == "bBOOL");
  CHECK(file->find("empty")->shape == shape{0, 7});
  CHECK(file->find("value")->shape.empty());
}

TEST_CASE("safetensors: written again, other tools' files keep their bytes", "[io]") {
  const files::folder folder;
  for (const char* name : {"float_formats", "metrics", "torch_quantize", "requant"}) {
    const auto original = golden::folder() / (std::string(name) + ".safetensors");
    const auto file = vq::safetensors_file::open(original);
    REQUIRE(file);
    vq::safetensors_writer out;
    // added in another order than they come in
    for (auto t = file->tensors().rbegin(); t != file->tensors().rend(); ++t) {
      out.add(t->name, t->type, t->shape, t->bytes);
    }
    for (const auto& [key, value] : file->metadata()) out.set_metadata(key, value);
    REQUIRE(out.write(folder / name));
    const bool identical = files::read(folder / name) == files::read(original);
    CHECK(identical);
  }
}

TEST_CASE("safetensors: the writer refuses what the reader would refuse", "[io]") {
  const files::folder folder;
  const std::string path = (folder / "out").string();
  files::write(path, "old content");
  const float values[2] = {1, 2};
  const auto refusal = [&](const vq::safetensors_writer& out) {
    const auto written = out.write(path);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == vq::status::bad_argument);
    CHECK(files::read(path) == "old content");
    CHECK(folder.names() == std::vector<std::string>{"out"});
    return vq::describe(written.error());
  };
  const auto with = [&](std::string name, shape extents) {
    vq::safetensors_writer out;
    out.add(std::move(name), std::move(extents), values);
    return out;
  };
  CHECK(refusal(with("w", {3})) ==
        path + ": tensor 'w': 8 bytes were given, but shape and dtype take 12");
  CHECK(refusal(with("w", {-2})) == path + ": tensor 'w': shape has a negative dimension");
  CHECK(refusal(with("", {2})) == path + ": a tensor has an empty name");
  CHECK(refusal(with("\xff", {2})) == path + ": tensor '\xff': the name is not valid UTF-8");
  CHECK(refusal(with("__metadata__", {2})) ==
        path + ": __metadata__: the value of 'shape' must be a string");
  auto twice = with("w", {2});
  twice.add("w", {2}, values);
  CHECK(refusal(twice) == path + ": tensor 'w': the name occurs twice");
  auto metadata = with("w", {2});
  metadata.set_metadata("k", "\xc3");
  CHECK(refusal(metadata) == path + ": __metadata__ is not valid UTF-8");
}

TEST_CASE("safetensors: a file cut anywhere is refused", "[io]") {
  const std::string whole = small_file();
  REQUIRE(vq::safetensors_file::from_bytes(files::bytes(whole), "f"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto opened = vq::safetensors_file::from_bytes(std::as_bytes(std::span(cut)), "f");
    CAPTURE(size);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == vq::status::bad_format);
    CHECK(vq::describe(opened.error()).starts_with("f: "));
  }
}

TEST_CASE("safetensors: a file with random damage is refused or read within its bounds", "[io]") {
  const std::string whole = small_file();
  std::mt19937 random(20240229);
  int accepted = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::vector<char> damaged(whole.begin(), whole.end());
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      char& byte = damaged[random() % (8 + small_header.size())];
      byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1u << random() % 8));
    }
    const auto opened = vq::safetensors_file::from_bytes(std::as_bytes(std::span(damaged)), "f");
    if (!opened) continue;
    ++accepted;
    for (const vq::tensor_entry& tensor : opened->tensors()) {  // every byte can be touched
      for (const std::byte b : tensor.bytes) damaged[0] ^= std::to_integer<char>(b);
    }
  }
  CHECK(accepted > 0);  // a flipped letter of a name changes no rule
}
