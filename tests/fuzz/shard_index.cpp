// Fuzzing of the index of a sharded checkpoint (replay.hpp says how).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include <vq/io/shard_index.hpp>

#include "fuzz/replay.hpp"

namespace {

void feed(std::span<const std::byte> bytes) {
  const auto index = vq::parse_shard_index(vq::as_text(bytes), "input");
  if (!index) {
    if (index.error().code == vq::status::ok || index.error().message.empty()) std::abort();
    return;
  }
  if (index->shards().empty() || index->shards().size() > index->shard_of.size()) std::abort();
  for (const std::string& shard : index->shards()) {  // none leaves the folder
    const std::filesystem::path path = std::filesystem::path("folder") / shard;
    if (path.filename() != shard || path.parent_path() != "folder") std::abort();
  }
}

}  // namespace

VQ_FUZZ("shard_index", feed)
