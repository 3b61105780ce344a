// The index of a checkpoint in several files, read and written; and a plan for such files.
//
//   model.safetensors.index.json:
//   {"metadata": {"total_size": 14126645248},
//    "weight_map": {"lm_head.weight": "model-00003-of-00003.safetensors", ...}}
//
//   auto shards = vq::plan_shards(groups, 5'000'000'000);   // groups: tensors that stay together
//   for (const vq::planned_shard& s : shards) write(s.file, s.tensors);
//   auto written = vq::write_shard_index(folder / "model.safetensors.index.json",
//                                        vq::index_of(shards));
//
// total_size is the bytes of all tensors, without headers. A plan depends on nothing but the list
// and the limit, so that parts of the work which run apart agree on it.
#ifndef VQ_IO_SHARD_INDEX_HPP
#define VQ_IO_SHARD_INDEX_HPP

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

struct shard_index {
  std::map<std::string, std::string> shard_of;  // of every tensor: a plain file name
  std::optional<std::uint64_t> total_size;      // as the file says it, which may be wrong

  std::vector<std::string> shards() const {  // every file once, sorted
    std::set<std::string> names;
    for (const auto& [tensor, shard] : shard_of) names.insert(shard);
    return {names.begin(), names.end()};
  }
};

namespace detail {

// A file name that stays in its folder.
inline bool is_plain_file_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

}  // namespace detail

// `file` is the name for messages. Errors: bad_format.
inline result<shard_index, failure> parse_shard_index(std::string_view text,
                                                      std::string_view file) {
  const auto refuse = [file](const auto&... rule) {
    return failure{status::bad_format, sentence(file, ": ", rule...)};
  };
  const auto tree = parse_json_object(text, file);
  if (!tree) return tree.error();
  const auto map = tree->find("weight_map");
  if (map == tree->end() || !map->is_object()) return refuse("weight_map must be an object");
  if (map->size() > safetensors_limits::tensors) {
    return refuse("weight_map has more than ", safetensors_limits::tensors, " tensors");
  }

  shard_index index;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      return refuse("weight_map: the shard of ", in_quotes(tensor), " must be a string");
    }
    const auto& name = shard.get_ref<const std::string&>();
    if (!detail::is_plain_file_name(name)) {
      return refuse("weight_map: the shard of ", in_quotes(tensor), " is ", in_quotes(name),
                    ", not a plain file name");
    }
    index.shard_of.emplace(tensor, name);
  }
  if (index.shard_of.empty()) return refuse("weight_map names no tensor");
  const auto metadata = tree->find("metadata");
  if (metadata != tree->end() && metadata->is_object()) {
    const auto size = metadata->find("total_size");
    if (size != metadata->end() && size->is_number_unsigned()) {
      index.total_size = size->get<std::uint64_t>();
    } else if (size != metadata->end() && size->is_number_float()) {  // by old writers
      const auto bytes = size->get<double>();
      if (bytes >= 0 && bytes < 0x1p63) index.total_size = static_cast<std::uint64_t>(bytes);
    }
  }
  return index;
}

// As Python's json.dumps(..., indent=2, sort_keys=True) and a line end, which is how transformers
// writes it. Returns the size of the file. Errors: bad_argument (a name is no UTF-8), io_error.
inline result<std::uint64_t, failure> write_shard_index(const std::filesystem::path& path,
                                                        const shard_index& index) {
  using json = nlohmann::json;
  json tree;
  tree["metadata"] = json::object();
  if (index.total_size) tree["metadata"]["total_size"] = *index.total_size;
  tree["weight_map"] = index.shard_of;
  const std::string text = tree.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
  const auto read = parse_shard_index(text, path.string());
  if (!read) return failure{status::bad_argument, read.error().message};
  if (read->shard_of != index.shard_of) {
    return failure{status::bad_argument, sentence(path.string(), ": a name is not valid UTF-8")};
  }
  return write_file(path, text);
}

struct planned_shard {
  std::string file;
  std::vector<tensor_info> tensors;
  std::uint64_t bytes = 0;
};

// Groups in their order, as many to a shard as fit the limit; a larger group gets a shard of its
// own. Files are model-00001-of-00003.safetensors and so on, a single one is model.safetensors.
inline std::vector<planned_shard> plan_shards(std::span<const std::vector<tensor_info>> groups,
                                              std::uint64_t max_bytes = 5'000'000'000) {
  std::vector<planned_shard> shards(1);
  for (const std::vector<tensor_info>& group : groups) {
    std::uint64_t bytes = 0;
    for (const tensor_info& tensor : group) bytes += tensor.stored_bytes();
    if (!shards.back().tensors.empty() && shards.back().bytes + bytes > max_bytes) {
      shards.emplace_back();
    }
    shards.back().bytes += bytes;
    shards.back().tensors.insert(shards.back().tensors.end(), group.begin(), group.end());
  }
  const auto digits = [](std::size_t number) {
    const std::string text = std::to_string(number);
    return std::string(5 - (std::min)(text.size(), std::size_t{5}), '0') + text;
  };
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1 ? "model.safetensors"
                                        : sentence("model-", digits(i + 1), "-of-",
                                                   digits(shards.size()), ".safetensors");
  }
  return shards;
}
// Every tensor by itself.
inline std::vector<planned_shard> plan_shards(std::span<const tensor_info> tensors,
                                              std::uint64_t max_bytes = 5'000'000'000) {
  std::vector<std::vector<tensor_info>> groups;
  for (const tensor_info& tensor : tensors) groups.push_back({tensor});
  return plan_shards(std::span<const std::vector<tensor_info>>(groups), max_bytes);
}

inline shard_index index_of(std::span<const planned_shard> shards) {
  shard_index index;
  index.total_size = 0;
  for (const planned_shard& shard : shards) {
    *index.total_size += shard.bytes;
    for (const tensor_info& tensor : shard.tensors) index.shard_of.emplace(tensor.name, shard.file);
  }
  return index;
}

}  // namespace vq::inline v1

#endif
