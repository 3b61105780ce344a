// Fuzzing of the safetensors reader.
//
// As a test it replays tests/fuzz/corpus/safetensors (another folder: VQ_FUZZ_CORPUS). With Clang
// the same file searches for new inputs:
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DVQ_LIBFUZZER -Iinclude
//     tests/fuzz/safetensors.cpp -o fuzz
//   ./fuzz -max_len=4096 new_inputs tests/fuzz/corpus/safetensors
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <vq/io/safetensors_reader.hpp>

namespace {

// Aborts where the reader accepts what breaks its promises; reads every byte it hands out.
void feed(std::span<const std::byte> bytes) {
  const auto file = vq::safetensors_file::from_bytes(bytes, "input");
  if (!file) {
    if (file.error().code == vq::status::ok || file.error().message.empty()) std::abort();
    return;
  }
  std::uint64_t end = 0;
  unsigned sum = 0;
  for (const vq::tensor_entry& tensor : file->tensors()) {
    const auto bits = static_cast<std::uint64_t>(vq::bits_of(tensor.type));
    if (tensor.begin != end || tensor.bytes.size() != tensor.end - tensor.begin) std::abort();
    if (static_cast<std::uint64_t>(tensor.size()) * bits != tensor.bytes.size() * 8) std::abort();
    if (file->find(tensor.name) != &tensor) std::abort();
    for (const std::byte b : tensor.bytes) sum += std::to_integer<unsigned>(b);
    static_cast<void>(file->to_floats(tensor.name));
    end = tensor.end;
  }
  volatile unsigned keep = sum;
  static_cast<void>(keep);
}

}  // namespace

#ifdef VQ_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  feed(std::as_bytes(std::span(data, size)));
  return 0;
}

#else

#include <filesystem>
#include <string>

#include "catch.hpp"

TEST_CASE("fuzz: the corpus of safetensors neither crashes nor breaks a promise", "[fuzz]") {
#ifdef VQ_SOURCE_DIR
  std::filesystem::path folder = VQ_SOURCE_DIR "/tests/fuzz/corpus/safetensors";
#else
  auto folder = std::filesystem::path(__FILE__).parent_path() / "corpus" / "safetensors";
#endif
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

#endif
