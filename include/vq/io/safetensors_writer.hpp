// Writing safetensors, byte for byte in the order of the reference writer.
//
//   vq::safetensors_writer out;
//   out.set_metadata("format", "pt");
//   out.add("conv1.weight", {16, 3, 3, 3}, weights);        // a range of floats, not copied
//   auto bytes = out.write("model.safetensors");
//   if (!bytes) return report(vq::describe(bytes.error()));
//
// Tensors are sorted by descending dtype, then by name, and lie without gaps; the header is JSON
// without spaces, metadata first, padded with spaces to a multiple of 8. So every tensor is aligned
// for its type. The new file replaces an old one only when it is complete (atomic_file.hpp).
#ifndef VQ_IO_SAFETENSORS_WRITER_HPP
#define VQ_IO_SAFETENSORS_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_header.hpp>

namespace vq::inline v1 {

class safetensors_writer {
 public:
  // The bytes are those of the values, row-major, little-endian. They are not copied: they must
  // live until write(). An empty shape means a single value.
  void add(std::string name, dtype type, std::vector<index_type> shape,
           std::span<const std::byte> bytes) {
    tensors_.push_back({{std::move(name), type, std::move(shape)}, 0, 0, bytes});
  }

  // The same for values of a type that has a dtype.
  template <std::ranges::contiguous_range Values>
    requires std::ranges::sized_range<Values> && std::ranges::borrowed_range<Values> &&
             storable<std::ranges::range_value_t<Values>>
  void add(std::string name, std::vector<index_type> shape, Values&& values) {
    using value_type = std::ranges::range_value_t<Values>;
    const std::span<const value_type> view(std::ranges::data(values), std::ranges::size(values));
    add(std::move(name), dtype_of<value_type>::value, std::move(shape), std::as_bytes(view));
  }

  // A later value of the same key replaces an earlier one.
  void set_metadata(std::string key, std::string value) {
    metadata_.insert_or_assign(std::move(key), std::move(value));
  }

  // Returns the size of the file in bytes. What the reader would refuse is not written.
  // Errors: bad_argument (a name, a shape or a number of bytes breaks the format), io_error.
  result<std::uint64_t, failure> write(const std::filesystem::path& path) const {
    std::vector<tensor_entry> sorted = tensors_;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return std::tie(b.type, a.name) < std::tie(a.type, b.name);
    });
    std::uint64_t end = 0;
    for (tensor_entry& tensor : sorted) {
      tensor.begin = end;
      tensor.end = end += tensor.bytes.size();
    }
    const std::string header = header_of(sorted);
    if (auto wrong = check(header, sorted, end, path.string())) return *std::move(wrong);

    auto file = atomic_file::create(path);
    if (!file) return file.error();
    std::byte length[8];
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(header.size() >> 8 * i);
    file->write(length);
    file->write(header);
    for (const tensor_entry& tensor : sorted) file->write(tensor.bytes);
    return file->commit();
  }

 private:
  static std::string json_text(const std::string& text) {
    using json = nlohmann::json;
    return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  }

  std::string header_of(const std::vector<tensor_entry>& tensors) const {
    std::string text = "{";
    const auto separate = [&text] {
      if (text.back() != '{') text += ',';
    };
    if (!metadata_.empty()) {
      text += "\"__metadata__\":{";
      for (const auto& [key, value] : metadata_) {
        separate();
        text += json_text(key) + ':' + json_text(value);
      }
      text += '}';
    }
    for (const tensor_entry& tensor : tensors) {
      separate();
      text += sentence(json_text(tensor.name), ":{\"dtype\":\"", name_of(tensor.type),
                       "\",\"shape\":[");
      for (const index_type extent : tensor.shape) {
        text += sentence(text.back() == '[' ? "" : ",", extent);
      }
      text += sentence("],\"data_offsets\":[", tensor.begin, ",", tensor.end, "]}");
    }
    text += '}';
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
  }

  // Reads the header back by the reader's own rules.
  std::optional<failure> check(std::string_view header, const std::vector<tensor_entry>& sorted,
                               std::uint64_t data_bytes, const std::string& file) const {
    if (header.size() > safetensors_limits::header_bytes) {
      return failure{status::bad_argument,
                     sentence(file, ": the header would take ", header.size(), " bytes")};
    }
    const auto read = parse_safetensors_header(header, data_bytes, file);
    if (!read) return failure{status::bad_argument, read.error().message};
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (read->tensors[i].name != sorted[i].name) {  // an invalid byte was replaced
        return failure{status::bad_argument, sentence(file, ": tensor ", in_quotes(sorted[i].name),
                                                      ": the name is not valid UTF-8")};
      }
    }
    if (read->metadata != metadata_) {
      return failure{status::bad_argument, sentence(file, ": __metadata__ is not valid UTF-8")};
    }
    return std::nullopt;
  }

  std::vector<tensor_entry> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace vq::inline v1

#endif
