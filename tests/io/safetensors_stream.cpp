// Files whose tensors are made one after the other.
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <vq/io/safetensors.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

std::string message(const std::optional<vq::failure>& wrong) {
  return wrong ? vq::describe(*wrong) : "no failure";
}

const std::vector<vq::tensor_info> announced{
    {"codes", vq::dtype::u8, {3}}, {"w", vq::dtype::f32, {2, 2}}, {"none", vq::dtype::f32, {0}}};

}  // namespace

TEST_CASE("safetensors_stream: the order of writing does not show", "[io]") {
  const files::folder folder;
  const std::vector<float> w{1, 2, 3, 4};
  const std::vector<std::uint8_t> codes{7, 8, 9}, none;
  vq::safetensors_writer at_once;
  at_once.add("w", {2, 2}, w);
  at_once.add("none", vq::dtype::f32, {0}, {});
  at_once.add("codes", {3}, codes);
  at_once.set_metadata("format", "pt");
  REQUIRE(at_once.write(folder / "at_once"));

  auto out = vq::safetensors_stream::create(folder / "streamed", announced, {{"format", "pt"}});
  REQUIRE(out);
  CHECK(out->layout().tensors.size() == 3);
  auto moved = std::move(*out);
  const auto bytes = std::as_bytes(std::span(w));
  CHECK_FALSE(moved.write("codes", std::as_bytes(std::span(codes))));
  CHECK_FALSE(moved.write("w", bytes.first(5)));  // pieces need not end at values
  CHECK_FALSE(moved.write("w", bytes.subspan(5)));
  CHECK_FALSE(std::filesystem::exists(folder / "streamed"));
  const auto size = moved.commit();
  REQUIRE(size);
  CHECK(*size == moved.layout().file_bytes());
  CHECK(*size == std::filesystem::file_size(folder / "streamed"));
  CHECK(files::read(folder / "streamed") == files::read(folder / "at_once"));
}

TEST_CASE("safetensors_stream: a file without all its bytes does not appear", "[io]") {
  const files::folder folder;
  const std::string path = (folder / "m").string();
  files::write(path, "old");
  const std::vector<std::byte> zeros(20);
  {
    auto out = vq::safetensors_stream::create(path, announced);
    REQUIRE(out);
    CHECK(message(out->write("x", zeros)) ==
          path + ": tensor 'x': is not among those that were announced");
    CHECK(message(out->write("w", zeros)) ==
          path + ": tensor 'w': 20 bytes were given, but shape and dtype take 16");
    CHECK_FALSE(out->write("w", std::span(zeros).first(10)));
    CHECK_FALSE(out->write("codes", std::span(zeros).first(3)));
    const auto early = out->commit();
    REQUIRE_FALSE(early);
    CHECK(early.error().code == vq::status::size_mismatch);
    CHECK(vq::describe(early.error()) == path + ": tensor 'w': only 10 of 16 bytes were given");
  }
  CHECK(files::read(path) == "old");
  CHECK(folder.names() == std::vector<std::string>{"m"});
}

TEST_CASE("safetensors_stream: what the reader would refuse is refused before anything", "[io]") {
  const files::folder folder;
  const auto out = vq::safetensors_stream::create(
      folder / "m", {{"w", vq::dtype::f32, {2}}, {"w", vq::dtype::f16, {2}}});
  REQUIRE_FALSE(out);
  CHECK(out.error().code == vq::status::bad_argument);
  CHECK(vq::describe(out.error()) ==
        (folder / "m").string() + ": tensor 'w': the name occurs twice");
  CHECK(folder.names().empty());
  const auto nowhere = vq::safetensors_stream::create(folder / "no/m", announced);
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == vq::status::io_error);
}

TEST_CASE("safetensors_stream: threads write tensors side by side", "[io]") {
  const files::folder folder;
  constexpr std::size_t threads = 4, size = 50'000;
  std::vector<vq::tensor_info> infos;
  std::vector<std::vector<std::uint8_t>> values;
  for (std::size_t i = 0; i < threads; ++i) {
    infos.push_back({"t" + std::to_string(i), vq::dtype::u8, {vq::index_type{size}}});
    values.emplace_back(size, static_cast<std::uint8_t>(i + 1));
  }
  auto out = vq::safetensors_stream::create(folder / "m", infos);
  REQUIRE(out);
  std::vector<std::thread> pool;
  for (std::size_t i = 0; i < threads; ++i) {
    pool.emplace_back([&, i] {
      for (std::size_t at = 0; at < size; at += 1000) {
        static_cast<void>(
            out->write(infos[i].name, std::as_bytes(std::span(values[i]).subspan(at, 1000))));
      }
    });
  }
  for (std::thread& t : pool) t.join();
  REQUIRE(out->commit());
  const auto file = vq::safetensors_file::open(folder / "m");
  REQUIRE(file);
  for (std::size_t i = 0; i < threads; ++i) {
    CHECK(file->to_vector<std::uint8_t>(infos[i].name).value() == values[i]);
  }
}

TEST_CASE("safetensors_stream: a size that comes late changes nothing but the order", "[io]") {
  const files::folder folder;
  const std::string path = (folder / "m").string();
  const std::vector<vq::tensor_info> late{{"a.json", vq::dtype::u8, {1000}},
                                          {"b.json", vq::dtype::u8, {1000}}};
  auto out = vq::safetensors_stream::create(path, announced, {{"format", "pt"}}, late);
  REQUIRE(out);
  const std::uint64_t at_most = out->layout().file_bytes();
  CHECK_FALSE(out->write("b.json", files::bytes("{}")));
  CHECK_FALSE(out->write("w", files::bytes("0123456789abcdef")));
  CHECK_FALSE(out->write("a.json", files::bytes("{\"a\"")));
  CHECK_FALSE(out->write("a.json", files::bytes(": 1}")));
  CHECK_FALSE(out->write("codes", files::bytes("xyz")));
  const auto size = out->commit();
  REQUIRE(size);
  CHECK(*size == std::filesystem::file_size(path));
  CHECK(*size == at_most - 1000 - 1000 + 8 + 2);

  const auto file = vq::safetensors_file::open(path);
  REQUIRE(file);
  CHECK(file->tensors().size() == 5);
  CHECK(file->metadata().at("format") == "pt");
  CHECK(vq::as_text(file->find("a.json")->bytes) == "{\"a\": 1}");
  CHECK(vq::as_text(file->find("b.json")->bytes) == "{}");
  CHECK(vq::as_text(file->find("w")->bytes) == "0123456789abcdef");
  CHECK(file->find("w")->bytes.data() < file->find("a.json")->bytes.data());
  CHECK(file->find("a.json")->bytes.data() < file->find("b.json")->bytes.data());
}

TEST_CASE("safetensors_stream: a late tensor is a row of bytes that is given and fits", "[io]") {
  const files::folder folder;
  const std::string path = (folder / "m").string();
  for (const vq::tensor_info& wrong : {vq::tensor_info{"x", vq::dtype::f32, {4}},
                                       {"x", vq::dtype::u8, {2, 2}},
                                       {"x", vq::dtype::u8, {0}}}) {
    const auto out = vq::safetensors_stream::create(path, {}, {}, {wrong});
    REQUIRE_FALSE(out);
    CHECK(vq::describe(out.error()) ==
          path + ": tensor 'x': its size can come late only if it is a row of U8");
  }
  auto out = vq::safetensors_stream::create(path, {}, {}, {{"x", vq::dtype::u8, {3}}});
  REQUIRE(out);
  CHECK(message(out->write("x", files::bytes("1234"))) ==
        path + ": tensor 'x': 4 bytes were given, but shape and dtype take 3");
  const auto nothing = out->commit();
  REQUIRE_FALSE(nothing);
  CHECK(vq::describe(nothing.error()) ==
        path + ": tensor 'x': 0 bytes were given, where 1 to 3 were announced");
  CHECK(folder.names().size() == 1);  // the temporary, until `out` goes away
}
