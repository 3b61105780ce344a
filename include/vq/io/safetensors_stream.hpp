// Writing safetensors whose tensors are made one after the other: no more than one of them needs to
// be in memory.
//
//   auto out = vq::safetensors_stream::create("model.safetensors", {{"w", vq::dtype::f16, {4, 8}},
//                                                                   {"b", vq::dtype::f32, {4}}});
//   if (!out) return report(vq::describe(out.error()));
//   if (auto wrong = out->write("b", bytes_of_b)) return report(vq::describe(*wrong));
//   if (auto wrong = out->write("w", first_half)) return report(vq::describe(*wrong));
//   if (auto wrong = out->write("w", second_half)) return report(vq::describe(*wrong));
//   auto size = out->commit();
//
// Names, types and shapes come first, so that every offset is known; bytes follow in any order of
// tensors, each tensor whole or in consecutive pieces. The file is the one that safetensors_writer
// makes of the same tensors. Only `late` tensors need no size beforehand: small ones of bytes, which
// are kept in memory and lie at the end (safetensors_layout.hpp). Without commit(), or while a byte
// is missing, nothing appears under its name (atomic_file.hpp); a killed process leaves only the
// temporary.
#ifndef VQ_IO_SAFETENSORS_STREAM_HPP
#define VQ_IO_SAFETENSORS_STREAM_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_layout.hpp>
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

class safetensors_stream {
 public:
  // Errors: bad_argument (what the reader would refuse), io_error.
  static result<safetensors_stream, failure> create(
      const std::filesystem::path& path, std::vector<tensor_info> tensors,
      const std::map<std::string, std::string>& metadata = {},
      const std::vector<tensor_info>& late = {}) {
    auto layout = lay_out_safetensors(std::move(tensors), metadata, path.string(), late);
    if (!layout) return layout.error();
    auto file = atomic_file::create(path);
    if (!file) return file.error();
    return safetensors_stream(path.string(), std::move(*layout), metadata, std::move(*file));
  }

  // What the file holds, in its order, and how large it will be; at most, while a size is missing.
  const safetensors_layout& layout() const noexcept { return layout_; }

  // The next bytes of a tensor, row-major, little-endian. On systems with pwrite, threads may write
  // different tensors at a time.
  // Errors: not_found, size_mismatch (more bytes than the tensor has), io_error.
  std::optional<failure> write(std::string_view name, std::span<const std::byte> bytes) {
    const auto place = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                        [this](std::size_t i, std::string_view wanted) {
                                          return layout_.tensors[i].name < wanted;
                                        });
    if (place == by_name_.end() || layout_.tensors[*place].name != name) {
      return refuse(status::not_found, name, "is not among those that were announced");
    }
    const tensor_entry& tensor = layout_.tensors[*place];
    std::uint64_t& done = written_[*place];
    const std::uint64_t size = tensor.end - tensor.begin;
    if (bytes.size() > size - done) {
      return refuse(
          status::size_mismatch, name,
          sentence(done + bytes.size(), " bytes were given, but shape and dtype take ", size));
    }
    if (*place >= first_late()) {
      auto& kept = late_[*place - first_late()];
      kept.insert(kept.end(), bytes.begin(), bytes.end());
      done += bytes.size();
      return std::nullopt;
    }
    auto wrong = file_.write_at(layout_.head.size() + tensor.begin + done, bytes);
    if (!wrong) done += bytes.size();
    return wrong;
  }

  // Puts the file under its name; returns its size in bytes.
  // Errors: size_mismatch (a tensor has not got all its bytes), io_error.
  result<std::uint64_t, failure> commit() {
    for (std::size_t i = 0; i < first_late(); ++i) {
      const tensor_entry& tensor = layout_.tensors[i];
      if (written_[i] != tensor.end - tensor.begin) {
        return refuse(
            status::size_mismatch, tensor.name,
            sentence("only ", written_[i], " of ", tensor.end - tensor.begin, " bytes were given"));
      }
    }
    if (auto wrong = finish_safetensors(layout_, std::span(written_).subspan(first_late()),
                                        metadata_, name_)) {
      return *std::move(wrong);
    }
    file_.write(layout_.head);
    for (std::size_t i = 0; i < late_.size(); ++i) {
      const std::uint64_t begin = layout_.tensors[first_late() + i].begin;
      if (auto wrong = file_.write_at(layout_.head.size() + begin, late_[i])) {
        return *std::move(wrong);
      }
    }
    auto committed = file_.commit();
    if (!committed) return committed;
    return layout_.file_bytes();
  }

 private:
  safetensors_stream(std::string name, safetensors_layout layout,
                     std::map<std::string, std::string> metadata, atomic_file file)
      : name_(std::move(name)),
        layout_(std::move(layout)),
        metadata_(std::move(metadata)),
        file_(std::move(file)),
        written_(layout_.tensors.size()),
        late_(layout_.late) {
    for (std::size_t i = 0; i < layout_.tensors.size(); ++i) by_name_.push_back(i);
    std::sort(by_name_.begin(), by_name_.end(), [this](std::size_t a, std::size_t b) {
      return layout_.tensors[a].name < layout_.tensors[b].name;
    });
  }

  std::size_t first_late() const noexcept { return layout_.tensors.size() - layout_.late; }

  failure refuse(status code, std::string_view tensor, std::string_view rule) const {
    return {code, sentence(name_, ": tensor ", in_quotes(tensor), ": ", rule)};
  }

  std::string name_;
  safetensors_layout layout_;
  std::map<std::string, std::string> metadata_;
  atomic_file file_;
  std::vector<std::uint64_t> written_;        // bytes of each tensor
  std::vector<std::vector<std::byte>> late_;  // of those whose size was not known
  std::vector<std::size_t> by_name_;
};

}  // namespace vq::inline v1

#endif
