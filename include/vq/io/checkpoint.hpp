// A model as it lies on disk: one safetensors file, or a folder with one, or a folder whose index
// spreads the tensors over several.
//
//   auto model = vq::checkpoint::open("llava-1.5-7b-hf");
//   if (!model) return report(vq::describe(model.error()));
//   for (const vq::checkpoint_tensor& t : model->tensors()) {   // in the order of the disk
//     quantize(t.name, t.type, t.shape, t.bytes);
//     model->drop_pages(t);                                     // memory: the largest tensor
//   }
//
// In a folder, model.safetensors is taken before model.safetensors.index.json, as transformers
// does. The index is {"metadata": {"total_size": bytes}, "weight_map": {tensor: shard}}; a shard is
// a plain file name beside it, and every mapped tensor must be in its shard. What is odd but not
// wrong becomes a warning: a total_size that is not the sum, tensors that the map does not name
// (they are left out).
//
// Opening reads the headers of all shards. Their data are mapped, which takes address space, not
// memory; pages come with the first touch and go with drop_pages. All reading is const and may be
// done by several threads.
#ifndef VQ_IO_CHECKPOINT_HPP
#define VQ_IO_CHECKPOINT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/io/safetensors_reader.hpp>
#include <vq/io/shard_index.hpp>

namespace vq::inline v1 {

struct checkpoint_tensor : tensor_entry {
  std::size_t shard = 0;  // of checkpoint::shards()
};

class checkpoint {
 public:
  // A .safetensors file, an index, or a folder with one of them.
  // Errors: not_found (the path, or a shard), io_error, bad_format.
  static result<checkpoint, failure> open(const std::filesystem::path& path,
                                          const open_options& options = {});

  // Sorted by shard, then by offset.
  std::span<const checkpoint_tensor> tensors() const noexcept { return tensors_; }

  // Null where there is no such tensor.
  const checkpoint_tensor* find(std::string_view name) const noexcept {
    const auto at = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [this](std::size_t i, std::string_view wanted) { return tensors_[i].name < wanted; });
    return at == by_name_.end() || tensors_[*at].name != name ? nullptr : &tensors_[*at];
  }
  // Errors: not_found.
  result<const checkpoint_tensor*, failure> get(std::string_view name) const {
    const checkpoint_tensor* tensor = find(name);
    if (tensor == nullptr)
      return refuse(status::not_found, name, "the checkpoint has no such tensor");
    return tensor;
  }
  result<std::span<const std::byte>, failure> bytes(std::string_view name) const {
    const auto tensor = get(name);
    if (!tensor) return tensor.error();
    return (*tensor)->bytes;
  }
  // A copy of F32, F16, BF16 or F64 as floats. Errors: not_found, type_mismatch.
  result<std::vector<float>, failure> to_floats(std::string_view name) const {
    const auto tensor = get(name);
    if (!tensor) return tensor.error();
    return shards_[(*tensor)->shard].to_floats(name);
  }

  // Gives the memory of a tensor's pages back; its bytes stay readable.
  void drop_pages(const checkpoint_tensor& tensor) const noexcept {
    shards_[tensor.shard].drop_pages(tensor);
  }

  // config.json beside the tensors. Errors: not_found (there is none), bad_format, io_error.
  const result<nlohmann::json, failure>& config() const noexcept { return config_; }

  const std::string& name() const noexcept { return name_; }  // the path as it was given
  const std::filesystem::path& folder() const noexcept { return folder_; }
  bool is_sharded() const noexcept { return is_sharded_; }
  std::span<const safetensors_file> shards() const noexcept { return shards_; }
  // File names in the folder, in the order of shards().
  std::span<const std::string> shard_names() const noexcept { return shard_names_; }
  // The metadata of the first shard ({"format": "pt"}).
  const std::map<std::string, std::string>& metadata() const noexcept {
    return shards_.front().metadata();
  }
  // Bytes of all tensors.
  std::uint64_t stored_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const checkpoint_tensor& tensor : tensors_) sum += tensor.bytes.size();
    return sum;
  }
  // What is odd about the checkpoint; sentences like those of failures.
  std::span<const std::string> warnings() const noexcept { return warnings_; }

 private:
  checkpoint(std::string name, std::filesystem::path folder)
      : name_(std::move(name)),
        folder_(std::move(folder)),
        config_(read_json(folder_ / "config.json")) {}

  failure refuse(status code, std::string_view tensor, std::string_view rule) const {
    return {code, sentence(name_, ": tensor ", in_quotes(tensor), ": ", rule)};
  }
  std::optional<failure> open_single(const std::filesystem::path& file,
                                     const open_options& options);
  std::optional<failure> open_index(const std::filesystem::path& file, const open_options& options);

  std::string name_;
  std::filesystem::path folder_;
  bool is_sharded_ = false;
  std::vector<safetensors_file> shards_;
  std::vector<std::string> shard_names_;
  std::vector<checkpoint_tensor> tensors_;
  std::vector<std::size_t> by_name_;
  std::vector<std::string> warnings_;
  result<nlohmann::json, failure> config_;
};

inline std::optional<failure> checkpoint::open_single(const std::filesystem::path& file,
                                                      const open_options& options) {
  auto opened = safetensors_file::open(file, options);
  if (!opened) return opened.error();
  shard_names_.push_back(file.filename().string());
  shards_.push_back(std::move(*opened));
  for (const tensor_entry& tensor : shards_.front().tensors()) tensors_.push_back({tensor, 0});
  return std::nullopt;
}

inline std::optional<failure> checkpoint::open_index(const std::filesystem::path& file,
                                                     const open_options& options) {
  is_sharded_ = true;
  const auto text =
      mapped_file::open(file, {.access = file_access::read, .max_bytes = 100'000'000});
  if (!text) return text.error();
  const auto index = parse_shard_index(as_text(text->bytes()), file.string());
  if (!index) return index.error();
  const auto refuse = [&](status code, const auto&... rule) {
    return failure{code, sentence(file.string(), ": ", rule...)};
  };

  shard_names_ = index->shards();
  std::size_t found = 0;
  for (std::size_t shard = 0; shard < shard_names_.size(); ++shard) {
    const std::string& name = shard_names_[shard];
    auto opened = safetensors_file::open(folder_ / name, options);
    if (!opened && opened.error().code == status::not_found) {
      return refuse(status::not_found, "the shard ", in_quotes(name), " is not in the folder");
    }
    if (!opened) return opened.error();
    shards_.push_back(std::move(*opened));
    std::size_t left_out = 0;
    for (const tensor_entry& tensor : shards_.back().tensors()) {
      const auto mapped = index->shard_of.find(tensor.name);
      if (mapped == index->shard_of.end() || mapped->second != name) {
        ++left_out;
        continue;
      }
      ++found;
      tensors_.push_back({tensor, shard});
    }
    if (left_out > 0) {
      warnings_.push_back(sentence((folder_ / name).string(), ": ", left_out,
                                   left_out == 1 ? " tensor is" : " tensors are",
                                   " left out, because the index does not map them to this shard"));
    }
  }
  if (found != index->shard_of.size()) {
    for (const auto& [tensor, shard] : index->shard_of) {
      const auto at = std::find(shard_names_.begin(), shard_names_.end(), shard);
      if (shards_[static_cast<std::size_t>(at - shard_names_.begin())].find(tensor) == nullptr) {
        return refuse(status::not_found, "tensor ", in_quotes(tensor), ": the shard ",
                      in_quotes(shard), " does not hold it");
      }
    }
  }
  if (index->total_size && *index->total_size != stored_bytes()) {
    warnings_.push_back(sentence(file.string(), ": total_size is ", *index->total_size,
                                 ", but the tensors have ", stored_bytes(), " bytes"));
  }
  return std::nullopt;
}

inline result<checkpoint, failure> checkpoint::open(const std::filesystem::path& path,
                                                    const open_options& options) {
  namespace fs = std::filesystem;
  constexpr const char* single = "model.safetensors";
  constexpr const char* index = "model.safetensors.index.json";
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  checkpoint model(path.string(), is_folder ? path : path.parent_path());
  std::optional<failure> wrong;
  if (!is_folder && path.extension() == ".json") {
    wrong = model.open_index(path, options);
  } else if (!is_folder) {
    wrong = model.open_single(path, options);
  } else if (fs::exists(path / single, ignored)) {
    if (fs::exists(path / index, ignored)) {
      model.warnings_.push_back(
          sentence(path.string(), ": holds ", single, " and ", index, "; the index is not used"));
    }
    wrong = model.open_single(path / single, options);
  } else if (fs::exists(path / index, ignored)) {
    wrong = model.open_index(path / index, options);
  } else {
    wrong = failure{status::not_found,
                    sentence(path.string(), ": holds neither ", single, " nor ", index)};
  }
  if (wrong) return *std::move(wrong);
  for (std::size_t i = 0; i < model.tensors_.size(); ++i) model.by_name_.push_back(i);
  std::sort(model.by_name_.begin(), model.by_name_.end(), [&](std::size_t a, std::size_t b) {
    return model.tensors_[a].name < model.tensors_[b].name;
  });
  return model;
}

}  // namespace vq::inline v1

#endif
