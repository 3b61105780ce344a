// Fuzzing of the JSON beside 4-bit weights (replay.hpp says how).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include <vq/io/quant_state.hpp>

#include "fuzz/replay.hpp"

namespace {

void feed(std::span<const std::byte> bytes) {
  const auto state = vq::parse_quant_state(vq::as_text(bytes), "input");
  if (!state) {
    if (state.error().code == vq::status::ok || state.error().message.empty()) std::abort();
    return;
  }
  if (!vq::is_four_bit_blocksize(state->blocksize)) std::abort();
  if (!vq::is_four_bit_blocksize(state->nested_blocksize)) std::abort();
  const std::string text = vq::to_json(*state);
  if (static_cast<vq::index_type>(text.size()) > vq::longest_json(*state)) std::abort();
  const auto again = vq::parse_quant_state(text, "again");
  if (!again || !(*again == *state)) std::abort();
}

}  // namespace

VQ_FUZZ("quant_state", feed)
