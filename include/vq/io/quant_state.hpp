// The quantization state of a 4-bit weight of bitsandbytes: the JSON that lies beside the codes.
//
//   {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [4096, 4096],
//    "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04208984375}
//
//   std::string text = vq::to_json(state);                    // byte for byte as Python writes it
//   auto state = vq::parse_quant_state(text, "model.safetensors: tensor 'w.quant_state...'");
//
// The nested fields are there where the block scales are quantized themselves. Loaders refuse
// unknown fields, and so do we. Source: bitsandbytes, functional.py, QuantState.
#ifndef VQ_IO_QUANT_STATE_HPP
#define VQ_IO_QUANT_STATE_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/config.hpp>
#include <vq/core/result.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>

namespace vq::inline v1 {

enum class four_bit_type : std::uint8_t { nf, fp };  // nf4 would hide the policy

constexpr std::string_view name_of(four_bit_type type) noexcept {
  return type == four_bit_type::nf ? "nf4" : "fp4";
}

struct quant_state {
  four_bit_type quant_type = four_bit_type::nf;
  index_type blocksize = 64;
  dtype type = dtype::f16;                         // of the values: F16, BF16 or F32
  std::optional<std::vector<index_type>> shape{};  // some writers leave it null
  bool nested = false;
  index_type nested_blocksize = 256;
  double nested_offset = 0;

  friend bool operator==(const quant_state&, const quant_state&) = default;
};

// Block sizes that bitsandbytes has kernels for.
constexpr bool is_four_bit_blocksize(index_type size) noexcept {
  return size >= 32 && size <= 4096 && (size & (size - 1)) == 0;
}

// A finite double as Python's repr: the shortest digits that give it back, an exponent below 1e-4
// and from 1e16 on.
inline std::string python_repr(double value) {
  std::array<char, 40> text{};
  const auto scientific =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  const std::string_view shortest(text.data(),
                                  static_cast<std::size_t>(scientific.ptr - text.data()));
  const std::size_t e = shortest.find('e');
  const int exponent = std::atoi(std::string(shortest.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(shortest);
  std::array<char, 40> plain{};
  const auto fixed =
      std::to_chars(plain.data(), plain.data() + plain.size(), value, std::chars_format::fixed);
  std::string result(plain.data(), static_cast<std::size_t>(fixed.ptr - plain.data()));
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

namespace detail {

// What Python calls the types that values may have.
inline constexpr std::array<std::pair<dtype, std::string_view>, 3> python_dtypes{
    {{dtype::f16, "float16"}, {dtype::bf16, "bfloat16"}, {dtype::f32, "float32"}}};

// The text before the number of nested_offset, or all but the brace where there is none.
inline std::string quant_state_head(const quant_state& state) {
  std::string_view type = "float32";
  for (const auto& [known, name] : python_dtypes) {
    if (known == state.type) type = name;
  }
  std::string text =
      sentence("{\"quant_type\": \"", name_of(state.quant_type),
               "\", \"blocksize\": ", state.blocksize, ", \"dtype\": \"", type, "\", \"shape\": ");
  if (!state.shape) {
    text += "null";
  } else {
    text += '[';
    for (const index_type extent : *state.shape) {
      text += sentence(text.back() == '[' ? "" : ", ", extent);
    }
    text += ']';
  }
  if (state.nested) {
    text += sentence(", \"nested_blocksize\": ", state.nested_blocksize,
                     ", \"nested_dtype\": \"float32\", \"nested_offset\": ");
  }
  return text;
}

}  // namespace detail

inline std::string to_json(const quant_state& state) {
  return detail::quant_state_head(state) + (state.nested ? python_repr(state.nested_offset) : "") +
         "}";
}
// How long to_json can get, whatever the offset (which is known only when the weight is quantized).
inline index_type longest_json(const quant_state& state) {
  constexpr std::size_t longest_number = 24;  // -1.2345678901234567e-308
  return static_cast<index_type>(detail::quant_state_head(state).size() +
                                 (state.nested ? longest_number : 0) + 1);
}

// `where` begins the message. Errors: bad_format.
inline result<quant_state, failure> parse_quant_state(std::string_view text,
                                                      std::string_view where) {
  const auto refuse = [where](const auto&... rule) {
    return failure{status::bad_format, sentence(where, ": ", rule...)};
  };
  const auto parsed = parse_json_object(text, where);
  if (!parsed) return parsed.error();
  using fields = std::vector<std::string_view>;
  const fields plain_fields{"quant_type", "blocksize", "dtype", "shape"};
  const fields nested_fields{"nested_blocksize", "nested_dtype", "nested_offset"};
  const auto is_one_of = [](std::string_view key, const fields& known) {
    return std::find(known.begin(), known.end(), key) != known.end();
  };
  quant_state state;
  for (const auto& [key, value] : parsed->items()) {
    if (is_one_of(key, nested_fields)) {
      state.nested = true;
    } else if (!is_one_of(key, plain_fields)) {
      return refuse("unknown field ", in_quotes(key));
    }
  }
  const auto missing = [&](const fields& needed) {
    return std::find_if(needed.begin(), needed.end(),
                        [&](std::string_view key) { return !parsed->contains(key); });
  };
  if (const auto key = missing(plain_fields); key != plain_fields.end()) {
    return refuse(*key, " is missing");
  }
  if (const auto key = missing(nested_fields); state.nested && key != nested_fields.end()) {
    return refuse(*key, " is missing, though other nested fields are there");
  }

  const auto text_of = [&](const char* key) {
    const nlohmann::json& value = parsed->at(key);
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const std::string quant_type = text_of("quant_type");
  if (quant_type != "nf4" && quant_type != "fp4") {
    return refuse("quant_type must be \"nf4\" or \"fp4\", not ",
                  in_quotes(parsed->at("quant_type").dump()));
  }
  state.quant_type = quant_type == "nf4" ? four_bit_type::nf : four_bit_type::fp;

  const auto blocksize_of = [&](const char* key) -> index_type {
    const nlohmann::json& value = parsed->at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 4096) return 0;
    const auto size = static_cast<index_type>(value.get<std::uint64_t>());
    return is_four_bit_blocksize(size) ? size : 0;
  };
  state.blocksize = blocksize_of("blocksize");
  if (state.blocksize == 0) return refuse("blocksize must be 32, 64, 128, ... or 4096");

  const std::string type = text_of("dtype");
  const auto known = std::find_if(detail::python_dtypes.begin(), detail::python_dtypes.end(),
                                  [&](const auto& entry) { return entry.second == type; });
  if (known == detail::python_dtypes.end()) {
    return refuse("dtype must be \"float16\", \"bfloat16\" or \"float32\"");
  }
  state.type = known->first;

  const nlohmann::json& shape = parsed->at("shape");
  if (!shape.is_null()) {
    if (!shape.is_array() || shape.size() > 32) {
      return refuse("shape must be null or an array of integers");
    }
    state.shape.emplace();
    index_type count = 1;
    constexpr index_type largest = (std::numeric_limits<index_type>::max)() / 64;
    for (const nlohmann::json& extent : shape) {
      if (!extent.is_number_unsigned() ||
          extent.get<std::uint64_t>() > static_cast<std::uint64_t>(largest)) {
        return refuse("shape must contain integers from 0 to 2^57 only");
      }
      const auto factor = static_cast<index_type>(extent.get<std::uint64_t>());
      if (factor != 0 && count > largest / factor) return refuse("shape overflows");
      count *= factor;
      state.shape->push_back(factor);
    }
  }
  if (!state.nested) return state;
  state.nested_blocksize = blocksize_of("nested_blocksize");
  if (state.nested_blocksize == 0) return refuse("nested_blocksize must be 32, 64, ... or 4096");
  if (text_of("nested_dtype") != "float32") return refuse("nested_dtype must be \"float32\"");
  const nlohmann::json& offset = parsed->at("nested_offset");
  if (!offset.is_number()) return refuse("nested_offset must be a number");
  state.nested_offset = offset.get<double>();
  if (!std::isfinite(static_cast<float>(state.nested_offset))) {
    return refuse("nested_offset must be a finite float");
  }
  return state;
}

}  // namespace vq::inline v1

#endif
