#include <string>
#include <utility>
#include <vector>

#include <vq/io/atomic_file.hpp>
#include <vq/io/safetensors_writer.hpp>

#include "catch.hpp"
#include "io/files.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {
using names = std::vector<std::string>;
}

TEST_CASE("atomic_file: the name appears with commit, complete", "[io]") {
  const files::folder folder;
  auto file = vq::atomic_file::create(folder / "a");
  REQUIRE(file);
  file->write("hello ");
  file->write(files::bytes("world"));
  CHECK_FALSE(std::filesystem::exists(folder / "a"));
  const auto size = file->commit();
  REQUIRE(size);
  CHECK(*size == 11);
  CHECK(files::read(folder / "a") == "hello world");
  CHECK(folder.names() == names{"a"});
  const auto again = file->commit();
  REQUIRE_FALSE(again);
  CHECK(vq::describe(again.error()) ==
        (folder / "a").string() + ": not written: was committed before");
}

TEST_CASE("atomic_file: without commit nothing changes and nothing is left", "[io]") {
  const files::folder folder;
  files::write(folder / "a", "old");
  {
    auto file = vq::atomic_file::create(folder / "a");
    REQUIRE(file);
    file->write(std::string(100'000, 'x'));
    auto moved = std::move(*file);
    moved.write("y");
    CHECK(folder.names().size() == 2);
  }
  CHECK(folder.names() == names{"a"});
  CHECK(files::read(folder / "a") == "old");
}

TEST_CASE("atomic_file: two writers of one file do not mix", "[io]") {
  const files::folder folder;
  auto one = vq::atomic_file::create(folder / "a");
  auto two = vq::atomic_file::create(folder / "a");
  REQUIRE(one);
  REQUIRE(two);
  one->write("one");
  two->write("two");
  REQUIRE(one->commit());
  CHECK(files::read(folder / "a") == "one");
  REQUIRE(two->commit());
  CHECK(files::read(folder / "a") == "two");
  CHECK(folder.names() == names{"a"});
}

TEST_CASE("atomic_file: what cannot be written says so", "[io]") {
  const files::folder folder;
  const auto nowhere = vq::write_file(folder / "no/such/folder", "x");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == vq::status::io_error);
  CHECK(vq::describe(nowhere.error()) ==
        (folder / "no/such/folder").string() + ": cannot be created: No such file or directory");

  std::filesystem::create_directories(folder / "busy/inner");  // cannot be replaced by a file
  const auto busy = vq::write_file(folder / "busy", "x");
  REQUIRE_FALSE(busy);
  CHECK(vq::describe(busy.error()).starts_with((folder / "busy").string() + ": not written: "));
  CHECK(folder.names() == names{"busy"});
}

#if defined(__unix__) || defined(__APPLE__)
namespace {

// Runs f in a child process and returns its exit code.
template <class F>
int in_child(F f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int state = 0;
  ::waitpid(child, &state, 0);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

}  // namespace

TEST_CASE("atomic_file: a full disk leaves the old file and no other", "[io]") {
  const files::folder folder;
  files::write(folder / "model", "old");
  // The child may write 64 KiB into any file, so the write fails in its midst.
  const int code = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{65536, 65536};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    const std::vector<float> values(100'000);
    vq::safetensors_writer out;
    out.add("w", {100'000}, values);
    const auto written = out.write(folder / "model");
    if (written) return 3;
    return vq::describe(written.error()) ==
                   (folder / "model").string() + ": not written: File too large"
               ? 0
               : 4;
  });
  CHECK(code == 0);
  CHECK(files::read(folder / "model") == "old");
  CHECK(folder.names() == names{"model"});
}

TEST_CASE("atomic_file: a killed writer leaves the old file", "[io]") {
  const files::folder folder;
  files::write(folder / "model", "old");
  const int code = in_child([&] {
    auto file = vq::atomic_file::create(folder / "model");
    if (!file) return 2;
    file->write(std::string(1'000'000, 'x'));
    ::_exit(1);  // no destructor runs
    return 0;
  });
  CHECK(code == 1);
  CHECK(files::read(folder / "model") == "old");
}
#endif
