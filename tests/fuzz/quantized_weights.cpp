// Fuzzing of everything that reads quantized weights out of safetensors: descriptions, scales,
// tables and codes that need not fit together (replay.hpp says how).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vq/io/bitsandbytes.hpp>
#include <vq/io/quantized_checkpoint.hpp>
#include <vq/io/safetensors_reader.hpp>

#include "fuzz/replay.hpp"

namespace {

// Decodes what was accepted; aborts where a refusal says nothing.
void use(const auto& found) {
  if (!found) {
    if (found.error().code == vq::status::ok || found.error().message.empty()) std::abort();
    return;
  }
  const vq::index_type size = found->size();
  if (size > 1 << 20) return;  // such a shape has no values
  std::vector<float> values(static_cast<std::size_t>(size));
  if (vq::load_floats(vq::scalar, *found, 0, values) != vq::status::ok) std::abort();
}

void feed(std::span<const std::byte> bytes) {
  const auto file = vq::safetensors_file::from_bytes(bytes, "input");
  if (!file) return;
  for (const vq::tensor_entry& tensor : file->tensors()) {
    const std::string_view name = tensor.name;
    if (vq::is_four_bit(*file, name)) use(vq::find_four_bit(*file, name));
    if (name.ends_with(".SCB")) {
      use(vq::find_llm_int8(*file, name.substr(0, name.size() - 4)));
    }
    if (!name.ends_with(".codes")) continue;
    const std::string_view weight = name.substr(0, name.size() - 6);
    const auto description = vq::find_description(*file, weight);
    if (description) {
      const auto again = vq::parse_quantizer_description(vq::to_json(*description), "again");
      if (!again || !(*again == *description)) std::abort();
    }
    using nf4_nested = vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>;
    use(vq::find_quantized<nf4_nested>(*file, weight));
    use(vq::find_quantized<vq::quantizer<vq::uniform<3>, vq::per_group<32>>>(*file, weight));
    use(vq::find_quantized<vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<0>>>(
        *file, weight));
    use(vq::find_quantized<vq::quantizer<vq::uniform<16>, vq::per_tensor>>(*file, weight));
    use(vq::find_quantized<vq::quantizer<vq::nf4, vq::per_tensor, vq::stored_as<vq::bytes>>>(
        *file, weight));
  }
}

}  // namespace

VQ_FUZZ("quantized_weights", feed)
