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
#ifndef VQ_IO_SAFETENSORS_LAYOUT_HPP
#define VQ_IO_SAFETENSORS_LAYOUT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
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
// Errors: bad_argument (a name, a shape or the metadata break the format).
inline result<safetensors_layout, failure> lay_out_safetensors(
    std::vector<tensor_info> tensors, const std::map<std::string, std::string>& metadata,
    std::string_view file) {
  std::sort(tensors.begin(), tensors.end(), [](const tensor_info& a, const tensor_info& b) {
    return std::tie(b.type, a.name) < std::tie(a.type, b.name);
  });
  safetensors_layout layout;
  layout.tensors.reserve(tensors.size());
  for (tensor_info& tensor : tensors) {
    const auto bytes = bytes_of_shape(tensor.shape, tensor.type);
    if (!bytes) {
      return failure{status::bad_argument,
                     sentence(file, ": tensor ", in_quotes(tensor.name), ": ", bytes.error())};
    }
    const std::uint64_t begin = layout.data_bytes;
    layout.data_bytes += *bytes;
    layout.tensors.push_back({std::move(tensor), begin, layout.data_bytes, {}});
  }
  const std::string header = detail::safetensors_json(layout.tensors, metadata);
  if (auto wrong = detail::check_safetensors_json(header, layout, metadata, file)) {
    return *std::move(wrong);
  }
  for (std::size_t i = 0; i < 8; ++i) {
    layout.head += static_cast<char>(static_cast<unsigned char>(header.size() >> 8 * i));
  }
  layout.head += header;
  return layout;
}

}  // namespace vq::inline v1

#endif
