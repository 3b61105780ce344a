// From one checkpoint to another, tensor by tensor: what quantize and dequantize have in common.
//
//   conversion work{.source = &model, .destination = "out", .items = ..., .make = ...};
//   auto written = convert(work, options, context);
//
// An item is one tensor of the new model: the stored tensors that it becomes (a weight of
// bitsandbytes becomes six) and a description of how. `make` is called for every item once, from
// several threads, and writes its bytes.
//
// Items fill shards of bounded size in the order of the source; the plan depends on nothing but the
// items and the limit, never on jobs, parts or interruptions, and neither do the bytes. Everything
// happens in the folder DST.partial beside DST. A shard appears there when it is complete and on the
// disk, with a fingerprint of all that it was made from; a later run keeps the shards whose
// fingerprint it would give itself. When all are there the index, config.json and the small files
// follow, and the folder gets its name: DST is complete or does not exist.
//
// Memory: one item per job. No shard is ever held, and pages of the source are given back.
#ifndef TOOL_CONVERSION_HPP
#define TOOL_CONVERSION_HPP

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_stream.hpp>
#include <vq/io/tensor_info.hpp>

#include "command.hpp"

namespace tool {

using vq::index_type;

// A share of the shards: number K of N, from 1. All of them by default.
struct part {
  index_type number = 1;
  index_type of = 1;
};
// "2/8". Errors: bad_argument.
vq::result<part, vq::failure> parse_part(const std::string& text);

struct conversion_options {
  int jobs = 1;
  std::uint64_t shard_bytes = 4'000'000'000;
  std::optional<part> share;  // only these shards, and no folder DST yet
  bool finish = false;        // no shards, only the folder DST
};

// --jobs and --shard-size.
void add_conversion_options(CLI::App& sub, conversion_options& options);

struct conversion_item {
  std::vector<const vq::checkpoint_tensor*> sources;
  std::vector<vq::tensor_info> outputs;
  // Those whose size shows when they are made, with the largest size that it may be.
  std::vector<vq::tensor_info> late;
  std::string format;  // of the new tensors; part of the fingerprint
};

using write_bytes =
    std::function<std::optional<vq::failure>(std::string_view name, std::span<const std::byte>)>;

struct conversion {
  const vq::checkpoint* source = nullptr;
  std::filesystem::path destination;
  std::vector<conversion_item> items;
  std::function<std::optional<vq::failure>(const conversion_item&, const write_bytes&)> make;
  std::map<std::string, std::string> metadata;   // of every shard
  std::optional<nlohmann::ordered_json> config;  // the new config.json; none where it has none
};

struct conversion_summary {
  struct shard {
    std::string file;
    std::uint64_t bytes = 0;
    bool kept = false;   // finished by an earlier run
    bool chosen = true;  // in this part
  };
  std::vector<shard> shards;
  std::uint64_t source_bytes = 0;  // of the items that this run made
  double seconds = 0;
  bool complete = false;  // DST is there
  std::vector<std::string> copied;
  std::vector<std::string> warnings;
};

// Says what stands in the way before anything is read or written.
// Errors: bad_argument (DST exists), io_error (no folder to put it into).
std::optional<vq::failure> check_destination(const std::filesystem::path& destination);

// Errors: those of make; bad_argument (DST exists), io_error (disk full, no right to write, stopped),
// not_found (finish: a shard is missing).
vq::result<conversion_summary, vq::failure> convert(const conversion& work,
                                                    const conversion_options& options,
                                                    const context& c);

// The summary as sentences and as JSON.
void add_summary(const conversion_summary& summary, const conversion& work, report& to);

// The largest resident size of this process so far, in bytes; 0 where the system does not tell.
std::uint64_t peak_memory();

}  // namespace tool

#endif
