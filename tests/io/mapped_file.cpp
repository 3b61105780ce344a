#include <string>
#include <utility>

#include <vq/io/mapped_file.hpp>

#include "catch.hpp"
#include "io/files.hpp"

TEST_CASE("mapped_file: both ways show the same bytes", "[io]") {
  const files::folder folder;
  const std::string content = "some\0bytes";
  files::write(folder / "a", content);
  for (const auto access : {vq::file_access::map, vq::file_access::read}) {
    auto file = vq::mapped_file::open(folder / "a", {.access = access});
    REQUIRE(file);
    CHECK(vq::as_text(file->bytes()) == content);
    const std::byte* const where = file->bytes().data();
    vq::mapped_file moved = std::move(*file);
    CHECK(file->bytes().empty());
    CHECK(moved.bytes().data() == where);
    vq::mapped_file assigned;
    assigned = std::move(moved);
    CHECK(vq::as_text(assigned.bytes()) == content);
  }
#if defined(__unix__) || defined(__APPLE__)
  CHECK(vq::mapped_file::open(folder / "a")->is_mapped());
#endif
  CHECK_FALSE(vq::mapped_file::open(folder / "a", {.access = vq::file_access::read})->is_mapped());
}

TEST_CASE("mapped_file: an empty file has no bytes", "[io]") {
  const files::folder folder;
  files::write(folder / "a", "");
  for (const auto access : {vq::file_access::map, vq::file_access::read}) {
    const auto file = vq::mapped_file::open(folder / "a", {.access = access});
    REQUIRE(file);
    CHECK(file->bytes().empty());
  }
}

TEST_CASE("mapped_file: what cannot be opened says why", "[io]") {
  const files::folder folder;
  files::write(folder / "a", "12345");
  const auto why = [&](const std::string& name, vq::status code, vq::open_options options = {}) {
    const auto file = vq::mapped_file::open(folder / name, options);
    REQUIRE_FALSE(file);
    CHECK(file.error().code == code);
    return vq::describe(file.error()).substr((folder / name).string().size());
  };
  CHECK(why("b", vq::status::not_found) == ": there is no such file");
  CHECK(why(".", vq::status::io_error) == ": not a regular file");
  CHECK(why("a", vq::status::io_error, {.max_bytes = 4}) ==
        ": the file has 5 bytes, more than allowed");
  CHECK(vq::mapped_file::open(folder / "a", {.max_bytes = 5}));
}
