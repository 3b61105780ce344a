// Fuzzing of the safetensors reader (replay.hpp says how).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <vq/io/safetensors_reader.hpp>

#include "fuzz/replay.hpp"

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

VQ_FUZZ("safetensors", feed)
