#include "encoding.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include <vq/io/stored_floats.hpp>
#include <vq/plan/weight_format.hpp>
#include <vq/simd.hpp>

namespace tool {

namespace {

constexpr std::string_view int8_rows = "int8-channel";  // LLM.int8, in a container of bitsandbytes

// F64 becomes F32 for a container that knows no F64.
vq::dtype narrow_type(vq::dtype type) { return type == vq::dtype::f64 ? vq::dtype::f32 : type; }

vq::result<std::vector<float>, vq::failure> floats_of(const vq::checkpoint_tensor& source) {
  std::vector<float> values(static_cast<std::size_t>(source.size()));
  if (const vq::status s = vq::load_floats(vq::simd::native, source, 0, values);
      s != vq::status::ok) {
    return vq::failure{s, vq::sentence("tensor ", vq::in_quotes(source.name), ": ", describe(s))};
  }
  return values;
}

// Writes every tensor of a weight that was quantized; stops at the first error.
template <class Weight>
std::optional<vq::failure> write_parts(const std::string& name, const Weight& weight,
                                       const write_bytes& write) {
  std::optional<vq::failure> wrong;
  vq::for_each_tensor(name, weight,
                      [&](const vq::tensor_info& tensor, std::span<const std::byte> bytes) {
                        if (wrong) return;
                        if (auto error = write(tensor.name, bytes)) {
                          wrong.emplace(*std::move(error));
                        }
                      });
  return wrong;
}

std::optional<vq::failure> write_four_bit(const vq::checkpoint_tensor& source,
                                          const vq::four_bit_format& format,
                                          const write_bytes& write) {
  const auto weight = vq::quantize_four_bit(vq::simd::native, format, source);
  if (!weight) return weight.error();
  return write_parts(source.name, *weight, write);
}

// The name of the layer whose weight this is; empty for other tensors.
std::string linear_of(const std::string& weight) {
  constexpr std::string_view suffix = ".weight";
  return weight.ends_with(suffix) ? weight.substr(0, weight.size() - suffix.size()) : "";
}

std::optional<vq::failure> write_llm_int8(const vq::checkpoint_tensor& source,
                                          const write_bytes& write) {
  const auto values = floats_of(source);
  if (!values) return values.error();
  const auto weight = vq::quantize_llm_int8(
      vq::simd::native, *values, vq::shape_type<2>{source.shape[0], source.shape[1]}, source.name);
  if (!weight) return weight.error();
  return write_parts(linear_of(source.name), *weight, write);
}

}  // namespace

std::optional<vq::four_bit_format> four_bit_format_of(std::string_view format) {
  vq::four_bit_format found;
  constexpr std::string_view nf4 = "nf4-block", fp4 = "fp4-block", nested = "-dq256";
  if (!format.starts_with(nf4) && !format.starts_with(fp4)) return std::nullopt;
  found.type = format.starts_with(nf4) ? vq::four_bit_type::nf : vq::four_bit_type::fp;
  format.remove_prefix(nf4.size());
  found.nested = format.ends_with(nested);
  if (found.nested) format.remove_suffix(nested.size());
  const char* end = format.data() + format.size();
  const auto number = std::from_chars(format.data(), end, found.blocksize);
  if (number.ec != std::errc() || number.ptr != end ||
      !vq::is_four_bit_blocksize(found.blocksize)) {
    return std::nullopt;
  }
  return found;
}

vq::result<conversion_item, vq::failure> item_of(const vq::checkpoint_tensor& source,
                                                 std::string_view format, container to) {
  conversion_item item;
  item.sources = {&source};
  item.format = format;
  if (const auto type = vq::converted_type(format)) {
    item.outputs = {{source.name, *type, source.shape}};
    return item;
  }
  if (vq::is_unquantized(format)) {
    item.outputs = {source};
    return item;
  }
  if (to == container::bitsandbytes) {
    if (const auto four = four_bit_format_of(format)) {
      item.outputs = vq::tensors_of(*four, source.name, source.shape, narrow_type(source.type));
      item.late = {std::move(item.outputs.back())};
      item.outputs.pop_back();
      return item;
    }
    const std::string linear = linear_of(source.name);
    if (format == int8_rows && source.shape.size() == 2 && !linear.empty()) {
      item.outputs = vq::tensors_of_llm_int8(linear, source.shape[0], source.shape[1]);
      return item;
    }
  }
  if (to == container::vq) {
    item.outputs = menu_tensors(item.format, source);
    if (!item.outputs.empty()) return item;
  }
  return vq::failure{
      vq::status::bad_argument,
      vq::sentence("tensor ", vq::in_quotes(source.name), ": ",
                   to == container::vq ? "there is no format "
                                       : "a checkpoint of bitsandbytes cannot hold the format ",
                   vq::in_quotes(format), to == container::vq ? "" : "; --format vq can")};
}

std::optional<vq::failure> write_floats(const vq::tensor_info& tensor, vq::dtype type,
                                        const load_values& load, const write_bytes& write) {
  constexpr index_type piece = index_type{1} << 20;
  const auto width = static_cast<std::size_t>(vq::bits_of(type) / 8);
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (index_type at = 0; at < tensor.size(); at += piece) {
    const auto count = static_cast<std::size_t>(std::min(piece, tensor.size() - at));
    values.resize(count);
    bytes.resize(count * width);
    vq::status s = load(at, values);
    if (s == vq::status::ok) s = vq::store_floats(vq::simd::native, values, type, bytes);
    if (s != vq::status::ok) {
      return vq::failure{s, vq::sentence("tensor ", vq::in_quotes(tensor.name), ": ", describe(s))};
    }
    if (auto wrong = write(tensor.name, bytes)) return wrong;
  }
  return std::nullopt;
}

std::optional<vq::failure> encode(const conversion_item& item, container to,
                                  const write_bytes& write) {
  const vq::checkpoint_tensor& source = *item.sources.front();
  if (const auto type = vq::converted_type(item.format)) {
    const auto load = [&](index_type first, std::span<float> out) {
      return vq::load_floats(vq::simd::native, source, first, out);
    };
    return write_floats(source, *type, load, write);
  }
  if (vq::is_unquantized(item.format)) return write(source.name, source.bytes);
  if (to == container::vq) {
    const auto values = floats_of(source);
    if (!values) return values.error();
    return write_in_menu_format(item.format, source, *values, write);
  }
  if (item.format == int8_rows) return write_llm_int8(source, write);
  return write_four_bit(source, *four_bit_format_of(item.format), write);
}

}  // namespace tool
