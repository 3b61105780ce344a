// Why a file could not be read or written: a status, and a sentence for a person.
//
//   model.safetensors: tensor 'a.weight': data_offsets end at 20, after the end of the data (16
//   bytes)
//
// A message names the file, then the thing in it, then the rule that was broken. Names that come
// from a file are quoted, shortened and free of control characters, so that a hostile file cannot
// write to the terminal of its reader.
#ifndef VQ_IO_FAILURE_HPP
#define VQ_IO_FAILURE_HPP

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include <vq/core/status.hpp>

namespace vq::inline v1 {

struct failure {
  status code = status::io_error;
  std::string message;  // one sentence without a full stop
};

inline std::string describe(const failure& f) {
  return f.message.empty() ? describe(f.code) : f.message;
}

// Texts and integers, one after the other: sentence(file, ": ", 3, " bytes").
template <class... Parts>
std::string sentence(const Parts&... parts) {
  std::string text;
  const auto append = [&text](const auto& part) {
    if constexpr (std::integral<std::remove_cvref_t<decltype(part)>>) {
      text += std::to_string(part);
    } else {
      text += std::string_view(part);
    }
  };
  (append(parts), ...);
  return text;
}

// 'name' with control characters as \xNN, cut after 120 bytes.
inline std::string in_quotes(std::string_view name) {
  constexpr std::size_t longest = 120;
  constexpr const char* digits = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      text += "\\x";
      text += digits[byte >> 4];
      text += digits[byte & 15];
    } else {
      text += c;
    }
  }
  return text + (name.size() > longest ? "...'" : "'");
}

}  // namespace vq::inline v1

#endif
