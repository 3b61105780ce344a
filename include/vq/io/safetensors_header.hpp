// The JSON header of a safetensors file, as a list of tensors that has been checked completely.
//
// Everything the format and its reference reader demand holds for what parse_safetensors returns:
// shapes times bits are whole bytes and equal to their data_offsets, the tensors lie without hole
// or overlap from the first byte of the data to the last. Beyond the reference reader it refuses
// duplicate names and keys, unknown fields, names that are empty, long or contain NUL, numbers
// written as 1e3, 1.0 or -0 or above 2^63 - 1, more than 32 dimensions, and more than a million
// tensors. It takes time proportional to the header (plus sorting), does not recurse, and allocates
// in proportion to what the file really contains, never to what it claims.
#ifndef VQ_IO_SAFETENSORS_HEADER_HPP
#define VQ_IO_SAFETENSORS_HEADER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
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
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

struct safetensors_limits {
  static constexpr std::uint64_t header_bytes = 100'000'000;
  static constexpr std::size_t tensors = 1'000'000;
  static constexpr std::size_t rank = 32;
  static constexpr std::size_t name_bytes = 4096;
};

// A tensor of a file: what it is, and where its bytes lie.
struct tensor_entry : tensor_info {
  std::uint64_t begin = 0;  // data_offsets, from the first byte after the header
  std::uint64_t end = 0;
  std::span<const std::byte> bytes;  // the values, row-major, little-endian; may be misaligned
};

struct safetensors_header {
  std::vector<tensor_entry> tensors;  // by rising offset
  std::map<std::string, std::string> metadata;
};

// Receives the events of nlohmann's parser and builds the header; returning false stops the parser.
// The states nest as the format does, so nothing can be deeper than an array in a tensor.
class safetensors_header_builder {
 public:
  using json = nlohmann::json;

  explicit safetensors_header_builder(std::string_view file) : file_(file) {}

  safetensors_header header;
  std::optional<failure> error;

  bool start_object(std::size_t) {
    if (state_ == state::outside) return go(state::file);
    if (state_ == state::file && name_ == "__metadata__") return go(state::metadata);
    if (state_ != state::file) return misplaced();
    if (header.tensors.size() == safetensors_limits::tensors) {
      return refuse(sentence("more than ", safetensors_limits::tensors, " tensors"));
    }
    header.tensors.emplace_back().name = name_;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return go(state::tensor);
  }

  bool key(std::string& key) {
    if (state_ == state::file) {
      name_ = std::move(key);
      return name_ == "__metadata__" ? check_first_metadata() : check_name();
    }
    if (state_ == state::metadata) {
      if (header.metadata.contains(key)) {
        return refuse(sentence("__metadata__: the key ", in_quotes(key), " occurs twice"));
      }
      name_ = std::move(key);
      return true;
    }
    field_ = std::move(key);
    bool* seen = field_ == "dtype"          ? &has_dtype_
                 : field_ == "shape"        ? &has_shape_
                 : field_ == "data_offsets" ? &has_offsets_
                                            : nullptr;
    if (seen == nullptr) return refuse_tensor(sentence("unknown field ", in_quotes(field_)));
    if (*seen) return refuse_tensor(sentence(field_, " occurs twice"));
    return *seen = true;
  }

  bool end_object() {
    if (state_ == state::file) return go(state::outside);
    if (state_ == state::tensor) {
      const char* missing = !has_dtype_     ? "dtype"
                            : !has_shape_   ? "shape"
                            : !has_offsets_ ? "data_offsets"
                                            : nullptr;
      if (missing != nullptr) return refuse_tensor(sentence(missing, " is missing"));
    }
    return go(state::file);
  }

  bool start_array(std::size_t) {
    if (state_ != state::tensor || field_ == "dtype") return misplaced();
    offsets_ = 0;
    return go(field_ == "shape" ? state::shape : state::offsets);
  }
  bool end_array() {
    if (state_ == state::offsets && offsets_ != 2) return wrong_offset_count();
    return go(state::tensor);
  }

  bool number_unsigned(std::uint64_t value) {
    constexpr auto largest = (std::numeric_limits<index_type>::max)();
    if (state_ != state::shape && state_ != state::offsets) return misplaced();
    if (value > static_cast<std::uint64_t>((std::numeric_limits<std::int64_t>::max)())) {
      return wrong_number(std::to_string(value));
    }
    tensor_entry& tensor = header.tensors.back();
    if (state_ == state::offsets) {
      if (offsets_ == 2) return wrong_offset_count();
      (offsets_++ == 0 ? tensor.begin : tensor.end) = value;
      return true;
    }
    if (tensor.shape.size() == safetensors_limits::rank) {
      return refuse_tensor(
          sentence("shape has more than ", safetensors_limits::rank, " dimensions"));
    }
    if (value > static_cast<std::uint64_t>(largest)) {
      return refuse_tensor(
          sentence("shape has the dimension ", value, ", too large for this machine"));
    }
    tensor.shape.push_back(static_cast<index_type>(value));
    return true;
  }
  bool number_integer(std::int64_t value) {  // only below zero, or -0
    return wrong_number(value == 0 ? "-0" : std::to_string(value));
  }
  bool number_float(double, const std::string& text) { return wrong_number(text); }

  bool string(std::string& text) {
    if (state_ == state::metadata) {
      header.metadata.emplace(name_, std::move(text));
      return true;
    }
    if (state_ != state::tensor || field_ != "dtype") return misplaced();
    const std::optional<dtype> type = dtype_from_name(text);
    if (!type) return refuse_tensor(sentence("unknown dtype ", in_quotes(text)));
    header.tensors.back().type = *type;
    return true;
  }
  bool null() { return misplaced(); }
  bool boolean(bool) { return misplaced(); }
  bool binary(json::binary_t&) { return misplaced(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    return refuse(sentence("the header is not valid JSON in UTF-8, at its byte ", position));
  }

  bool refuse(std::string_view rule) {
    error = failure{status::bad_format, sentence(file_, ": ", rule)};
    return false;
  }

 private:
  enum class state { outside, file, metadata, tensor, shape, offsets };

  bool go(state next) {
    state_ = next;
    return true;
  }
  bool refuse_tensor(std::string_view rule) {
    return refuse(sentence("tensor ", in_quotes(header.tensors.back().name), ": ", rule));
  }
  bool wrong_offset_count() { return refuse_tensor("data_offsets must be two integers"); }
  bool wrong_number(std::string_view text) {
    if (state_ != state::shape && state_ != state::offsets) return misplaced();
    return refuse_tensor(sentence(field_, " contains ", text,
                                  ", not an integer from 0 to 2^63 - 1 in plain digits"));
  }
  // A value of a kind that has no business where it stands.
  bool misplaced() {
    switch (state_) {
      case state::outside:
        return refuse("the header must be a JSON object");
      case state::file:
        return refuse(sentence("entry ", in_quotes(name_), " must be an object"));
      case state::metadata:
        return refuse(
            sentence("__metadata__: the value of ", in_quotes(name_), " must be a string"));
      case state::tensor:
        return refuse_tensor(field_ == "dtype" ? "dtype must be a string"
                                               : field_ + " must be an array of integers");
      default:
        return refuse_tensor(sentence(field_, " must contain integers only"));
    }
  }
  bool check_first_metadata() {
    if (has_metadata_) return refuse("__metadata__ occurs twice");
    return has_metadata_ = true;
  }
  bool check_name() {
    if (name_.empty()) return refuse("a tensor has an empty name");
    if (name_.size() > safetensors_limits::name_bytes) {
      return refuse(sentence("tensor ", in_quotes(name_), ": the name is longer than ",
                             safetensors_limits::name_bytes, " bytes"));
    }
    if (name_.find('\0') != std::string::npos) {
      return refuse(sentence("tensor ", in_quotes(name_), ": the name contains NUL"));
    }
    return true;
  }

  std::string_view file_;
  state state_ = state::outside;
  std::string name_;   // of the entry or metadata that is being read
  std::string field_;  // of the tensor that is being read
  int offsets_ = 0;
  bool has_metadata_ = false, has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
};

// Checks names, sizes and offsets against `data_bytes` bytes of data; sorts by offset.
inline std::optional<failure> check_layout(safetensors_header& header, std::uint64_t data_bytes,
                                           std::string_view file) {
  const auto refuse = [file](const tensor_entry& tensor, std::string_view rule) {
    return failure{status::bad_format,
                   sentence(file, ": tensor ", in_quotes(tensor.name), ": ", rule)};
  };
  std::vector<tensor_entry>& tensors = header.tensors;

  std::vector<const tensor_entry*> by_name;
  by_name.reserve(tensors.size());
  for (const tensor_entry& tensor : tensors) by_name.push_back(&tensor);
  std::sort(by_name.begin(), by_name.end(),
            [](const tensor_entry* a, const tensor_entry* b) { return a->name < b->name; });
  const auto twin = std::adjacent_find(
      by_name.begin(), by_name.end(),
      [](const tensor_entry* a, const tensor_entry* b) { return a->name == b->name; });
  if (twin != by_name.end()) return refuse(**twin, "the name occurs twice");

  for (const tensor_entry& tensor : tensors) {
    const auto bytes = bytes_of_shape(tensor.shape, tensor.type);
    if (!bytes) return refuse(tensor, bytes.error());
    if (tensor.begin > tensor.end) {
      return refuse(tensor, sentence("data_offsets begin at ", tensor.begin,
                                     ", after their end at ", tensor.end));
    }
    if (tensor.end > data_bytes) {
      return refuse(tensor, sentence("data_offsets end at ", tensor.end,
                                     ", after the end of the data (", data_bytes, " bytes)"));
    }
    if (tensor.end - tensor.begin != *bytes) {
      return refuse(tensor, sentence("data_offsets span ", tensor.end - tensor.begin,
                                     " bytes, but shape and dtype take ", *bytes));
    }
  }

  // Tensors without bytes share their offsets; they keep the order of the reference writer.
  std::sort(tensors.begin(), tensors.end(), [](const tensor_entry& a, const tensor_entry& b) {
    return std::tie(a.begin, a.end, b.type, a.name) < std::tie(b.begin, b.end, a.type, b.name);
  });
  std::uint64_t end = 0;
  for (const tensor_entry& tensor : tensors) {
    if (tensor.begin != end) {
      return refuse(tensor, sentence("data_offsets begin at ", tensor.begin,
                                     tensor.begin < end ? ", inside another tensor that ends at "
                                                        : ", which leaves a hole after the byte ",
                                     end));
    }
    end = tensor.end;
  }
  if (end != data_bytes) {
    return failure{status::bad_format, sentence(file, ": the data have ", data_bytes,
                                                " bytes, but the tensors end at ", end)};
  }
  return std::nullopt;
}

// The header's text, and the size of the data that must follow it.
inline result<safetensors_header, failure> parse_safetensors_header(std::string_view text,
                                                                    std::uint64_t data_bytes,
                                                                    std::string_view file) {
  safetensors_header_builder builder(file);
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.empty() || text.front() != '{') {
    builder.refuse("the header does not begin with '{'");
  } else if (text.back() != '}') {
    builder.refuse("the header does not end with '}' and spaces");
  } else if (text.find('\0') != std::string_view::npos) {  // the parser would stop there
    builder.refuse("the header contains NUL");
  } else {
    const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
    if (!complete && !builder.error) builder.refuse("the header is not valid JSON");
  }
  if (!builder.error) builder.error = check_layout(builder.header, data_bytes, file);
  if (builder.error) return *std::move(builder.error);
  return std::move(builder.header);
}

// A whole file in memory; the entries' bytes lie in it. `file` is its name for messages.
inline result<safetensors_header, failure> parse_safetensors(std::span<const std::byte> bytes,
                                                             std::string_view file) {
  const auto refuse = [file](auto... rule) {
    return failure{status::bad_format, sentence(file, ": ", rule...)};
  };
  constexpr std::size_t prefix = 8;
  if (bytes.size() < prefix) {
    return refuse("the file has ", bytes.size(), " bytes, fewer than the 8 of its header length");
  }
  std::uint64_t length = 0;
  for (std::size_t i = prefix; i-- > 0;) length = length << 8 | std::to_integer<unsigned>(bytes[i]);
  if (length > safetensors_limits::header_bytes) {
    return refuse("the header claims ", length, " bytes, more than ",
                  safetensors_limits::header_bytes);
  }
  if (length > bytes.size() - prefix) {
    return refuse("the file ends after ", bytes.size(), " bytes, inside its header of ", length);
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + prefix;
  const auto data = bytes.subspan(prefix + static_cast<std::size_t>(length));
  auto header =
      parse_safetensors_header({text, static_cast<std::size_t>(length)}, data.size(), file);
  if (!header) return header;
  for (tensor_entry& tensor : header->tensors) {
    tensor.bytes = data.subspan(static_cast<std::size_t>(tensor.begin),
                                static_cast<std::size_t>(tensor.end - tensor.begin));
  }
  return header;
}

}  // namespace vq::inline v1

#endif
