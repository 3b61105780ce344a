// What all fuzzers share: fed by libFuzzer (VQ_LIBFUZZER), or as a test that replays the corpus in
// tests/fuzz/corpus/<name> (another folder: VQ_FUZZ_CORPUS).
//
//   void feed(std::span<const std::byte> bytes) { ... std::abort() where a promise is broken ... }
//   VQ_FUZZ("quant_state", feed)
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DVQ_LIBFUZZER -Iinclude -Itests
//     tests/fuzz/quant_state.cpp -o fuzz
//   ./fuzz -max_len=4096 new_inputs tests/fuzz/corpus/quant_state
#ifndef VQ_TESTS_FUZZ_REPLAY_HPP
#define VQ_TESTS_FUZZ_REPLAY_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#ifdef VQ_LIBFUZZER

#define VQ_FUZZ(name, feed)                                                           \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    feed(std::as_bytes(std::span(data, size)));                                       \
    return 0;                                                                         \
  }

#else

#include <cstdlib>
#include <filesystem>
#include <string>

#include <vq/io/mapped_file.hpp>

#include "catch.hpp"

namespace fuzz {

template <class F>
void replay(const char* name, F feed) {
#ifdef VQ_SOURCE_DIR
  std::filesystem::path folder = VQ_SOURCE_DIR "/tests/fuzz/corpus";
#else
  auto folder = std::filesystem::path(__FILE__).parent_path() / "corpus";
#endif
  folder /= name;
  if (const char* chosen = std::getenv("VQ_FUZZ_CORPUS")) folder = chosen;
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    CAPTURE(entry.path().string());
    const auto file = vq::mapped_file::open(entry.path(), {.access = vq::file_access::read});
    REQUIRE(file);
    feed(file->bytes());
    ++inputs;
  }
  CHECK(inputs > 0);
}

}  // namespace fuzz

#define VQ_FUZZ(name, feed)                                                                  \
  TEST_CASE("fuzz: the corpus of " name " neither crashes nor breaks a promise", "[fuzz]") { \
    fuzz::replay(name, feed);                                                                \
  }

#endif

#endif
