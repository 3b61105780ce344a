// Where the tensors of a new safetensors file lie, before any of their bytes are known.
//
//   auto layout = vq::lay_out_safetensors(tensors, {{"format", "pt"}}, "model.safetensors");
//   if (!layout) return report(vq::describe(layout.error()));
//   layout->file_bytes();                      // what the file will take
//   layout->tensors.front().begin;             // offset of its bytes, behind the header
//
// The order is that of the reference writer: descending dtype, then name, without gaps. The header
// is JSON without spaces, metadata first, padded with spaces to a multiple of 8, so that every
// tensor is aligned for its type. Everything is judged by the reader's own rules.
//
// Tensors of bytes whose size shows only when they are made (a JSON description, say) are given as
// `late`, with the largest size they may have. They lie behind the others, in their order, and room
// is kept for the longest header; finish_safetensors() says how it really is.
#ifndef VQ_IO_SAFETENSORS_LAYOUT_HPP
#define VQ_IO_SAFETENSORS_LAYOUT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

struct safetensors_layout {
  std::vector<tensor_entry> tensors;  // in the order of the file; `bytes` are empty
  std::string head;                   // the length and the JSON: everything before the data
  std::uint64_t data_bytes = 0;
  std::size_t late = 0;  // so many at the end have no final size yet

  std::uint64_t file_bytes() const noexcept { return head.size() + data_bytes; }
};

namespace detail {

inline std::string json_text(const std::string& text) {
  using json = nlohmann::json;
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

inline std::string safetensors_json(const std::vector<tensor_entry>& tensors,
                                    const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  const auto separate = [&text] {
    if (text.back() != '{') text += ',';
  };
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      separate();
      text += json_text(key) + ':' + json_text(value);
    }
    text += '}';
  }
  for (const tensor_entry& tensor : tensors) {
    separate();
    text +=
        sentence(json_text(tensor.name), ":{\"dtype\":\"", name_of(tensor.type), "\",\"shape\":[");
    for (const index_type extent : tensor.shape) {
      text += sentence(text.back() == '[' ? "" : ",", extent);
    }
    text += sentence("],\"data_offsets\":[", tensor.begin, ",", tensor.end, "]}");
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

// Length and JSON, as they stand before the data.
inline std::string safetensors_head(std::string_view header) {
  std::string head;
  for (std::size_t i = 0; i < 8; ++i) {
    head += static_cast<char>(static_cast<unsigned char>(header.size() >> 8 * i));
  }
  return head.append(header);
}

// Reads the header back by the reader's own rules.
inline std::optional<failure> check_safetensors_json(
    std::string_view header, const safetensors_layout& layout,
    const std::map<std::string, std::string>& metadata, std::string_view file) {
  const auto refuse = [file](const auto&... rule) {
    return failure{status::bad_argument, sentence(file, ": ", rule...)};
  };
  if (header.size() > safetensors_limits::header_bytes) {
    return refuse("the header would take ", header.size(), " bytes");
  }
  const auto read = parse_safetensors_header(header, layout.data_bytes, file);
  if (!read) return failure{status::bad_argument, read.error().message};
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    const std::string& name = layout.tensors[i].name;
    if (read->tensors[i].name != name) {  // an invalid byte was replaced
      return refuse("tensor ", in_quotes(name), ": the name is not valid UTF-8");
    }
  }
  if (read->metadata != metadata) return refuse("__metadata__ is not valid UTF-8");
  return std::nullopt;
}

}  // namespace detail

// Tensors in any order; `file` is the name for messages.
// Errors: bad_argument (a name, a shape or the metadata break the format; a late tensor that is no
// row of bytes).
inline result<safetensors_layout, failure> lay_out_safetensors(
    std::vector<tensor_info> tensors, const std::map<std::string, std::string>& metadata,
    std::string_view file, const std::vector<tensor_info>& late = {}) {
  const auto refuse = [file](const tensor_info& tensor, std::string_view rule) {
    return failure{status::bad_argument,
                   sentence(file, ": tensor ", in_quotes(tensor.name), ": ", rule)};
  };
  std::sort(tensors.begin(), tensors.end(), [](const tensor_info& a, const tensor_info& b) {
    return std::tie(b.type, a.name) < std::tie(a.type, b.name);
  });
  for (const tensor_info& tensor : late) {
    if (tensor.type != dtype::u8 || tensor.shape.size() != 1 || tensor.shape[0] < 1) {
      return refuse(tensor, "its size can come late only if it is a row of U8");
    }
  }
  tensors.insert(tensors.end(), late.begin(), late.end());
  safetensors_layout layout;
  layout.late = late.size();
  layout.tensors.reserve(tensors.size());
  for (tensor_info& tensor : tensors) {
    const auto bytes = bytes_of_shape(tensor.shape, tensor.type);
    if (!bytes) return refuse(tensor, bytes.error());
    const std::uint64_t begin = layout.data_bytes;
    layout.data_bytes += *bytes;
    layout.tensors.push_back({std::move(tensor), begin, layout.data_bytes, {}});
  }
  const std::string header = detail::safetensors_json(layout.tensors, metadata);
  if (auto wrong = detail::check_safetensors_json(header, layout, metadata, file)) {
    return *std::move(wrong);
  }
  layout.head = detail::safetensors_head(header);
  return layout;
}

// Gives the late tensors their sizes, all of them and none above what was announced. The head stays
// as long as it was. Errors: size_mismatch, bad_argument.
inline std::optional<failure> finish_safetensors(safetensors_layout& layout,
                                                 std::span<const std::uint64_t> sizes,
                                                 const std::map<std::string, std::string>& metadata,
                                                 std::string_view file) {
  const std::size_t first = layout.tensors.size() - layout.late;
  if (sizes.size() != layout.late) {
    return failure{status::size_mismatch, sentence(file, ": sizes are given for ", sizes.size(),
                                                   " of ", layout.late, " late tensors")};
  }
  if (layout.late == 0) return std::nullopt;
  layout.data_bytes = layout.tensors[first].begin;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    tensor_entry& tensor = layout.tensors[first + i];
    if (sizes[i] < 1 || sizes[i] > tensor.stored_bytes()) {
      return failure{
          status::size_mismatch,
          sentence(file, ": tensor ", in_quotes(tensor.name), ": ", sizes[i],
                   " bytes were given, where 1 to ", tensor.stored_bytes(), " were announced")};
    }
    tensor.shape = {static_cast<index_type>(sizes[i])};
    tensor.begin = layout.data_bytes;
    tensor.end = layout.data_bytes += sizes[i];
  }
  std::string header = detail::safetensors_json(layout.tensors, metadata);
  header.resize(layout.head.size() - 8, ' ');  // digits fewer than before, never more
  layout.head = detail::safetensors_head(header);
  return detail::check_safetensors_json(header, layout, metadata, file);
}

}  // namespace vq::inline v1

#endif
