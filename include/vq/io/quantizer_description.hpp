// What a quantizer is, as text: the JSON that lies beside the codes in our own checkpoints.
//
//   {"version": 1, "format": "int4-group32", "policy": "uniform[-7..7]", "bits": 4,
//    "granularity": "per_group", "extent": 32, "storage": "nibbles_high_first",
//    "scale_group": 0, "dtype": "F16", "shape": [16, 3, 3, 3]}
//
//   auto d = vq::describe_quantizer<Q>("int4-group32", shape, vq::dtype::f16);
//   std::string text = vq::to_json(d);
//   auto read = vq::parse_quantizer_description(text, "model.safetensors: tensor 'w.quantizer'");
//
// `format` is the name by which a menu finds the type again (plan/weight_formats.hpp); the fields
// after it say what that type is, so that a reader whose menu has another meaning for the name
// refuses the weight instead of decoding it wrongly. `extent` is the axis of per_channel and
// per_token, the size of per_group and per_block; `scale_group` the group of double_quantized, 0
// where scales are plain. `dtype` and `shape` are those of the values before.
#ifndef VQ_IO_QUANTIZER_DESCRIPTION_HPP
#define VQ_IO_QUANTIZER_DESCRIPTION_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/code_layout.hpp>
#include <vq/core/result.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/policy/minifloat.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/granularity.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

struct quantizer_description {
  std::string format;
  std::string policy;
  index_type bits = 0;
  std::string granularity;
  index_type extent = 0;
  std::string storage;
  index_type scale_group = 0;
  dtype type = dtype::f32;
  std::vector<index_type> shape;

  friend bool operator==(const quantizer_description&, const quantizer_description&) = default;
};

namespace detail {

template <class T>
std::string own_name() {
  if constexpr (requires { std::string(T::name); }) {
    return T::name;
  } else {
    return "custom";
  }
}

template <class Policy>
struct policy_text {
  static std::string text() { return own_name<Policy>(); }
};
template <affine_policy Policy>
struct policy_text<Policy> {
  static std::string text() {
    return sentence("uniform[", Policy::limits.lowest, "..", Policy::limits.highest, "]",
                    Policy::limits.symmetric ? "" : " with zero points");
  }
};
template <int E, int M, class Specials, class Overflow>
struct policy_text<minifloat<E, M, Specials, Overflow>> {
  static std::string text() {
    return sentence("e", E, "m", M, " up to ",
                    std::to_string(minifloat<E, M, Specials, Overflow>::largest));
  }
};

template <class Granularity>
struct granularity_extent {
  static constexpr index_type value = 0;
};
template <int Axis>
struct granularity_extent<per_channel<Axis>> {
  static constexpr index_type value = Axis;
};
template <int Axis>
struct granularity_extent<per_token<Axis>> {
  static constexpr index_type value = Axis;
};
template <index_type N>
struct granularity_extent<per_group<N>> {
  static constexpr index_type value = N;
};
template <index_type N>
struct granularity_extent<per_block<N>> {
  static constexpr index_type value = N;
};

template <class Layout>
struct layout_text {
  static std::string text() { return Layout::name; }
};
template <int Bits>
struct layout_text<bit_packed<Bits>> {
  static std::string text() { return sentence("bit_packed<", Bits, ">"); }
};

template <class Storage>
struct scale_group_of {
  static constexpr index_type value = 0;
};
template <index_type Group>
struct scale_group_of<double_quantized<Group>> {
  static constexpr index_type value = Group;
};

// What a description says of a quantizer's type, as a value: menus have dozens of types.
struct quantizer_facts {
  std::string (*policy)();
  index_type bits;
  std::string (*granularity)();
  index_type extent;
  std::string (*storage)();
  index_type scale_group;
};

template <a_quantizer Q>
inline constexpr quantizer_facts facts_of{
    &policy_text<typename Q::policy_type>::text,
    Q::policy_type::bits,
    &own_name<typename Q::granularity_type>,
    granularity_extent<typename Q::granularity_type>::value,
    &layout_text<typename Q::layout_type>::text,
    scale_group_of<typename Q::storage_type>::value,
};

inline quantizer_description description_of(const quantizer_facts& facts, std::string format,
                                            std::span<const index_type> shape, dtype type) {
  return {std::move(format),   facts.policy(), facts.bits,
          facts.granularity(), facts.extent,   facts.storage(),
          facts.scale_group,   type,           {shape.begin(), shape.end()}};
}

}  // namespace detail

template <a_quantizer Q>
quantizer_description describe_quantizer(std::string format, std::span<const index_type> shape,
                                         dtype type) {
  return detail::description_of(detail::facts_of<Q>, std::move(format), shape, type);
}

inline std::string to_json(const quantizer_description& d) {
  const auto quoted = [](const std::string& text) {
    using json = nlohmann::json;
    return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string text = sentence(
      "{\"version\": 1, \"format\": ", quoted(d.format), ", \"policy\": ", quoted(d.policy),
      ", \"bits\": ", d.bits, ", \"granularity\": ", quoted(d.granularity),
      ", \"extent\": ", d.extent, ", \"storage\": ", quoted(d.storage),
      ", \"scale_group\": ", d.scale_group, ", \"dtype\": \"", name_of(d.type), "\", \"shape\": [");
  for (const index_type extent : d.shape) text += sentence(text.back() == '[' ? "" : ", ", extent);
  return text + "]}";
}

// `where` begins the message. Errors: bad_format.
inline result<quantizer_description, failure> parse_quantizer_description(std::string_view text,
                                                                          std::string_view where) {
  const auto refuse = [where](const auto&... rule) {
    return failure{status::bad_format, sentence(where, ": ", rule...)};
  };
  const auto parsed = parse_json_object(text, where);
  if (!parsed) return parsed.error();
  constexpr std::array<std::string_view, 5> texts{"format", "policy", "granularity", "storage",
                                                  "dtype"};
  constexpr std::array<std::string_view, 4> numbers{"version", "bits", "extent", "scale_group"};
  for (const std::string_view key : texts) {
    if (!parsed->contains(key)) return refuse(key, " is missing");
    if (!parsed->at(std::string(key)).is_string()) return refuse(key, " must be a string");
  }
  for (const std::string_view key : numbers) {
    if (!parsed->contains(key)) return refuse(key, " is missing");
    const nlohmann::json& value = parsed->at(std::string(key));
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffff) {
      return refuse(key, " must be an integer from 0 to 2^31 - 1");
    }
  }
  for (const auto& [key, value] : parsed->items()) {
    if (key != "shape" && std::find(texts.begin(), texts.end(), key) == texts.end() &&
        std::find(numbers.begin(), numbers.end(), key) == numbers.end()) {
      return refuse("unknown field ", in_quotes(key));
    }
  }
  const auto number = [&](const char* key) {
    return static_cast<index_type>(parsed->at(key).get<std::uint64_t>());
  };
  if (number("version") != 1) {
    return refuse("version is ", number("version"), ", of a later writer; 1 is known here");
  }
  const auto type = dtype_from_name(parsed->at("dtype").get<std::string>());
  if (!type) return refuse("unknown dtype ", in_quotes(parsed->at("dtype").get<std::string>()));
  quantizer_description d{parsed->at("format").get<std::string>(),
                          parsed->at("policy").get<std::string>(),
                          number("bits"),
                          parsed->at("granularity").get<std::string>(),
                          number("extent"),
                          parsed->at("storage").get<std::string>(),
                          number("scale_group"),
                          *type,
                          {}};
  const auto shape = parsed->find("shape");
  if (shape == parsed->end()) return refuse("shape is missing");
  if (!shape->is_array() || shape->size() > 32) return refuse("shape must be an array of integers");
  for (const nlohmann::json& extent : *shape) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > (std::uint64_t{1} << 57)) {
      return refuse("shape must contain integers from 0 to 2^57 only");
    }
    d.shape.push_back(static_cast<index_type>(extent.get<std::uint64_t>()));
  }
  // 64-bit values of this shape are the largest thing that is computed from it
  if (const auto bytes = bytes_of_shape(d.shape, dtype::f64); !bytes) return refuse(bytes.error());
  return d;
}

}  // namespace vq::inline v1

#endif
