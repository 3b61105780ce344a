// 4-bit weights as bitsandbytes stores them: NF4 and FP4, plain or with quantized scales.
//
//   vq::four_bit_format format{.type = vq::four_bit_type::nf, .blocksize = 64, .nested = true};
//   auto w = vq::quantize_four_bit(vq::simd::native, format, floats, {4096, 4096}, vq::dtype::f16);
//   if (!w) return report(vq::describe(w.error()));
//   vq::for_each_tensor("fc1.weight", *w, [&](const vq::tensor_info& t, auto bytes) { ... });
//
//   auto read = vq::find_four_bit(file, "fc1.weight");     // a safetensors_file or a checkpoint
//   vq::status s = vq::load_floats(vq::simd::native, *read, 0, floats);
//
// For the weight P, n values in blocks of B, a checkpoint holds
//
//   P                    U8  [ceil(n/2), 1]     codes, the first of two in the high nibble
//   P.absmax             F32 [ceil(n/B)]        scales, or U8 where they are quantized
//   P.quant_map          F32 [16]               the levels
//   P.nested_absmax      F32 [ceil(n/B/256)]    only where the scales are quantized
//   P.nested_quant_map   F32 [256]              "
//   P.quant_state.bitsandbytes__nf4             the JSON of quant_state.hpp, as U8
//
// The codes are those of bitsandbytes' portable backend: a short last block divides by its scale,
// zeros are code 7 (of NF4) with scale 0, in a short block 1e-38; behind an odd number of codes lies
// the code of zero. Reading takes P in any dtype (bnb_4bit_quant_storage) and transposed, and uses
// the levels and the map of the file. Blocks run over the row-major values and ignore rows.
// Sources: Dettmers et al. 2023 (arXiv 2305.14314); bitsandbytes, backends/default/ops.py.
#ifndef VQ_IO_FOUR_BIT_HPP
#define VQ_IO_FOUR_BIT_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/quant_state.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/stored_floats.hpp>
#include <vq/io/stored_statistics.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/policy/fp4.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fit_quantize.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

struct four_bit_format {
  four_bit_type type = four_bit_type::nf;
  index_type blocksize = 64;  // 32, 64, 128, ... 4096
  bool nested = true;         // the scales are quantized too
};

// A quantized weight in memory.
struct four_bit_weight {
  quant_state state;
  std::vector<std::uint8_t> codes;
  std::vector<scale_param> absmax;         // empty where nested
  std::vector<std::uint8_t> absmax_codes;  // of the scales where nested
  std::vector<scale_param> nested_absmax;  // of 256 scales each
};

namespace detail {

// Calls f(policy) for a type.
template <class F>
decltype(auto) with_four_bit_policy(four_bit_type type, F f) {
  return type == four_bit_type::nf ? f(nf4{}) : f(fp4{});
}

// Calls f(per_block<N>{}) for a size that is_four_bit_blocksize.
template <index_type Size = 32, class F>
auto with_blocksize(index_type size, F f) {
  if constexpr (Size < 4096) {
    if (size != Size) return with_blocksize<2 * Size>(size, f);
  }
  return f(per_block<Size>{});
}

using nested_four_bit =
    quantizer<nf4, per_block<64>, double_quantized<256>>;  // any, for its scales

inline quant_state state_of(const four_bit_format& format, std::span<const index_type> shape,
                            dtype type) {
  quant_state state;
  state.quant_type = format.type;
  state.blocksize = format.blocksize;
  state.type = type;
  state.shape.emplace(shape.begin(), shape.end());
  state.nested = format.nested;
  return state;
}

inline std::string four_bit_state_name(std::string_view weight, four_bit_type type) {
  return sentence(weight, ".quant_state.bitsandbytes__", name_of(type));
}

}  // namespace detail

// The tensors that a weight of `shape` becomes, before it is quantized. The last is the JSON: its
// size is the largest possible one (safetensors_stream takes it as a tensor of late size).
inline std::vector<tensor_info> tensors_of(const four_bit_format& format, const std::string& weight,
                                           std::span<const index_type> shape, dtype type) {
  const index_type size = tensor_info{{}, type, {shape.begin(), shape.end()}}.size();
  const index_type blocks = (size + format.blocksize - 1) / format.blocksize;
  std::vector<tensor_info> tensors{
      {weight, dtype::u8, {(size + 1) / 2, 1}},
      {weight + ".absmax", format.nested ? dtype::u8 : dtype::f32, {blocks}},
      {weight + ".quant_map", dtype::f32, {16}}};
  if (format.nested) {
    tensors.push_back({weight + ".nested_absmax", dtype::f32, {(blocks + 255) / 256}});
    tensors.push_back({weight + ".nested_quant_map", dtype::f32, {256}});
  }
  tensors.push_back({detail::four_bit_state_name(weight, format.type),
                     dtype::u8,
                     {longest_json(detail::state_of(format, shape, type))}});
  return tensors;
}

namespace detail {

// values_at(begin, count) lends floats; `piece` of them at a time, an even number of whole blocks.
template <execution E, class Values, parallel_for P>
result<four_bit_weight, failure> quantize_four_bit_by_piece(E e, const four_bit_format& format,
                                                            std::span<const index_type> shape,
                                                            dtype type, std::string_view name,
                                                            index_type piece, Values values_at,
                                                            const P& parallel) {
  const auto refuse = [name](status code, const auto&... rule) {
    return failure{code, sentence("tensor ", in_quotes(name), ": ", rule...)};
  };
  if (!is_four_bit_blocksize(format.blocksize)) {
    return refuse(status::bad_argument, "the block size must be 32, 64, 128, ... or 4096, not ",
                  format.blocksize);
  }
  if (type != dtype::f16 && type != dtype::bf16 && type != dtype::f32) {
    return refuse(status::bad_argument, "dtype ", name_of(type),
                  " where F16, BF16 or F32 is needed");
  }
  const index_type size = tensor_info{{}, type, {shape.begin(), shape.end()}}.size();

  four_bit_weight w;
  w.state = state_of(format, shape, type);
  w.codes.resize(static_cast<std::size_t>((size + 1) / 2));
  w.absmax.resize(static_cast<std::size_t>((size + format.blocksize - 1) / format.blocksize));
  for (index_type begin = 0; begin < size; begin += piece) {
    const index_type count = (std::min)(piece, size - begin);
    const std::span<const float> values = values_at(begin, count);
    const tensor_view<const float, 1> view{values.data(), {count}};
    const auto codes = std::span(w.codes).subspan(static_cast<std::size_t>(begin / 2));
    const auto absmax =
        std::span(w.absmax).subspan(static_cast<std::size_t>(begin / format.blocksize));
    const status s = with_four_bit_policy(format.type, [&](auto policy) {
      const status done = with_blocksize(format.blocksize, [&](auto block) {
        const quantizer<decltype(policy), decltype(block)> q{};
        return fit_quantize(e, q, view, absmax, codes, parallel);
      });
      if (begin + count == size && size % 2 != 0) {
        const auto zero = static_cast<unsigned>(policy.encode(0.f, {1.f}));
        w.codes.back() = static_cast<std::uint8_t>((w.codes.back() & 0xf0u) | zero);
      }
      return done;
    });
    if (s == status::not_finite) {
      const auto at = static_cast<index_type>(first_not_finite(values));
      return failure{s, not_finite_sentence(name, begin + at, size)};
    }
    if (s != status::ok) return refuse(s, describe(s));
  }
  if (!format.nested) return w;

  w.absmax_codes.resize(w.absmax.size());
  w.nested_absmax.resize((w.absmax.size() + 255) / 256);
  nested_scales nested{w.absmax_codes, w.nested_absmax};
  if (const status n = quantize_scales(e, nested_four_bit{}, w.absmax, nested); n != status::ok) {
    return refuse(n, describe(n));
  }
  w.state.nested_offset = static_cast<double>(nested.offset);
  w.absmax.clear();
  return w;
}

}  // namespace detail

// `type` is what the values were before they became floats (F16, BF16, F32), `name` is for
// messages. Errors: bad_argument, size_mismatch, not_finite.
template <execution E, parallel_for P = serial_t>
result<four_bit_weight, failure> quantize_four_bit(E e, const four_bit_format& format,
                                                   std::span<const float> values,
                                                   std::span<const index_type> shape, dtype type,
                                                   std::string_view name,
                                                   const P& parallel = serial) {
  if (auto wrong = check_values(values.size(), shape, name)) return *std::move(wrong);
  const auto all = [values](index_type, index_type) { return values; };
  return detail::quantize_four_bit_by_piece(e, format, shape, type, name,
                                            static_cast<index_type>(values.size()), all, parallel);
}

// The same of a stored tensor (F64 counts as F32). Its floats lie in the cache, a piece at a time,
// so this is the faster one and takes no memory but that of the result.
// Errors: type_mismatch (holds no floats), bad_argument, not_finite.
template <execution E>
result<four_bit_weight, failure> quantize_four_bit(E e, const four_bit_format& format,
                                                   const tensor_entry& source) {
  if (!holds_floats(source.type)) {
    return failure{status::type_mismatch,
                   sentence("tensor ", in_quotes(source.name), ": dtype ", name_of(source.type),
                            " where F32, F16, BF16 or F64 is needed")};
  }
  const auto size = static_cast<std::size_t>(source.size());
  if (auto wrong = check_values(size, source.shape, source.name)) return *std::move(wrong);
  constexpr index_type piece = 16384;
  std::vector<float> buffer(piece);
  const auto load = [&](index_type begin, index_type count) {
    const auto to = std::span(buffer).first(static_cast<std::size_t>(count));
    static_cast<void>(load_floats(e, source, begin, to));
    return std::span<const float>(to);
  };
  const dtype type = source.type == dtype::f64 ? dtype::f32 : source.type;
  return detail::quantize_four_bit_by_piece(e, format, source.shape, type, source.name, piece, load,
                                            serial);
}

// Calls f(tensor_info, bytes) for every tensor of a weight, the JSON last.
template <class F>
void for_each_tensor(const std::string& weight, const four_bit_weight& w, F f) {
  const auto call = [&](std::string name, dtype type, std::vector<index_type> shape, auto values) {
    f(tensor_info{std::move(name), type, std::move(shape)},
      std::span<const std::byte>(std::as_bytes(values)));
  };
  const auto length = [](const auto& values) { return static_cast<index_type>(values.size()); };
  call(weight, dtype::u8, {length(w.codes), 1}, std::span(w.codes));
  if (w.state.nested) {
    call(weight + ".absmax", dtype::u8, {length(w.absmax_codes)}, std::span(w.absmax_codes));
  } else {
    call(weight + ".absmax", dtype::f32, {length(w.absmax)}, std::span(w.absmax));
  }
  detail::with_four_bit_policy(w.state.quant_type, [&](auto policy) {
    call(weight + ".quant_map", dtype::f32, {16}, std::span(decltype(policy)::table::levels));
  });
  if (w.state.nested) {
    call(weight + ".nested_absmax", dtype::f32, {length(w.nested_absmax)},
         std::span(w.nested_absmax));
    call(weight + ".nested_quant_map", dtype::f32, {256}, std::span(dynamic_table::levels));
  }
  const std::string json = to_json(w.state);
  call(detail::four_bit_state_name(weight, w.state.quant_type), dtype::u8, {length(json)},
       std::span(json));
}

// A weight of a file that was found to be sound; the codes stay where the file lies.
struct four_bit_view {
  quant_state state;
  std::vector<index_type> shape;  // of the state; [2 * bytes] where that is null
  std::span<const std::uint8_t> codes;
  std::vector<scale_param> absmax;  // recovered where they were quantized
  std::array<float, 16> levels{};

  index_type size() const noexcept { return tensor_info{{}, dtype::u8, shape}.size(); }
};

// True where the weight has a 4-bit state beside it.
template <tensor_source S>
bool is_four_bit(const S& source, std::string_view weight) {
  return source.find(detail::four_bit_state_name(weight, four_bit_type::nf)) != nullptr ||
         source.find(detail::four_bit_state_name(weight, four_bit_type::fp)) != nullptr;
}

// `weight` is the name of the codes ("model.layers.0.fc1.weight"). All that belongs to it is
// checked here. Errors: not_found, bad_format, type_mismatch, size_mismatch, not_finite.
template <tensor_source S>
result<four_bit_view, failure> find_four_bit(const S& source, std::string_view weight) {
  const auto refuse = [&](status code, const auto&... rule) {
    return failure{code, sentence(source.name(), ": tensor ", in_quotes(weight), ": ", rule...)};
  };
  const tensor_entry* codes = source.find(weight);
  if (codes == nullptr) return refuse(status::not_found, "is not in the file");
  const std::string names[2] = {detail::four_bit_state_name(weight, four_bit_type::nf),
                                detail::four_bit_state_name(weight, four_bit_type::fp)};
  const tensor_entry* states[2] = {source.find(names[0]), source.find(names[1])};
  if (states[0] == nullptr && states[1] == nullptr) {
    return refuse(status::not_found, "has no quant_state.bitsandbytes__nf4 or __fp4 beside it");
  }
  if (states[0] != nullptr && states[1] != nullptr) {
    return refuse(status::bad_format, "has two quant_states beside it, nf4 and fp4");
  }
  const std::size_t found = states[0] != nullptr ? 0 : 1;
  const tensor_entry& text = *states[found];
  if (text.type != dtype::u8) {
    return refuse(status::type_mismatch, "its quant_state has dtype ", name_of(text.type),
                  " where U8 is needed");
  }
  auto state =
      parse_quant_state({reinterpret_cast<const char*>(text.bytes.data()), text.bytes.size()},
                        sentence(source.name(), ": tensor ", in_quotes(names[found])));
  if (!state) return state.error();
  if (state->quant_type != (found == 0 ? four_bit_type::nf : four_bit_type::fp)) {
    return refuse(status::bad_format, "its quant_state is called ",
                  name_of(found == 0 ? four_bit_type::nf : four_bit_type::fp), ", but says ",
                  name_of(state->quant_type));
  }

  four_bit_view w;
  w.state = *std::move(state);
  // Other dtypes hold the same bytes; old files are transposed.
  const std::vector<index_type>& flat = codes->shape;
  if (flat.size() != 1 && !(flat.size() == 2 && (flat[0] == 1 || flat[1] == 1))) {
    return refuse(status::size_mismatch, "shape ", spelled(flat),
                  " where packed codes have [n, 1]");
  }
  const auto bytes = static_cast<index_type>(codes->bytes.size());
  w.codes = {reinterpret_cast<const std::uint8_t*>(codes->bytes.data()), codes->bytes.size()};
  w.shape = w.state.shape ? *w.state.shape : std::vector<index_type>{2 * bytes};
  const index_type size = w.size();
  if (size != 2 * bytes && size != 2 * bytes - 1) {
    return refuse(status::size_mismatch, "shape ", spelled(w.shape), " of its quant_state takes ",
                  (size + 1) / 2, " bytes of codes, but there are ", bytes);
  }

  const auto statistics = [&](std::string_view suffix, index_type count) {
    return find_statistics(source, weight, sentence(weight, suffix), count);
  };
  const auto levels = statistics(".quant_map", 16);
  if (!levels) return levels.error();
  std::copy(levels->begin(), levels->end(), w.levels.begin());
  const index_type blocks = (size + w.state.blocksize - 1) / w.state.blocksize;
  if (!w.state.nested) {
    const auto absmax = statistics(".absmax", blocks);
    if (!absmax) return absmax.error();
    for (const float scale : *absmax) w.absmax.push_back({scale});
    return w;
  }

  const tensor_entry* scales = source.find(sentence(weight, ".absmax"));
  if (scales == nullptr) return refuse(status::not_found, "has no absmax beside it");
  if (scales->type != dtype::u8) {
    return refuse(status::type_mismatch, "its absmax has dtype ", name_of(scales->type),
                  " where nested statistics have U8");
  }
  if (scales->size() != blocks) {
    return refuse(status::size_mismatch, "its absmax has ", scales->size(), " values where ",
                  blocks, " are needed");
  }
  const auto map = statistics(".nested_quant_map", 256);
  if (!map) return map.error();
  const index_type groups = (blocks + w.state.nested_blocksize - 1) / w.state.nested_blocksize;
  const auto absmax = statistics(".nested_absmax", groups);
  if (!absmax) return absmax.error();
  const auto offset = static_cast<float>(w.state.nested_offset);
  w.absmax.reserve(static_cast<std::size_t>(blocks));
  for (index_type i = 0; i < blocks; ++i) {
    const auto code = std::to_integer<std::size_t>(scales->bytes[static_cast<std::size_t>(i)]);
    const float rest =
        (*map)[code] * (*absmax)[static_cast<std::size_t>(i / w.state.nested_blocksize)];
    w.absmax.push_back({rest + offset});
  }
  return w;
}

// Values [first, first + out.size()), as floats before they are rounded to state.type.
// Errors: size_mismatch.
template <execution E>
status load_floats(E, const four_bit_view& w, index_type first, std::span<float> out) {
  const auto count = static_cast<index_type>(out.size());
  if (first < 0 || count > w.size() - first) return status::size_mismatch;
  const slices cut{1, w.size(), w.state.blocksize, false};
  return detail::with_four_bit_policy(w.state.quant_type, [&](auto policy) {
    using policy_type = decltype(policy);
    if (std::equal(w.levels.begin(), w.levels.end(), policy_type::table::levels)) {
      cut.for_each_strip(first, count, [&](strip s) {
        kernel<decode_strip<policy_type, nibbles_high_first>, E>{}(
            policy, w.absmax.data(), s, w.codes.data(), out.data() + (s.begin - first));
      });
      return status::ok;
    }
    for (index_type i = first; i < first + count; ++i) {  // levels of another writer
      const auto code = nibbles_high_first::load<std::uint8_t>(w.codes.data(), i);
      out[static_cast<std::size_t>(i - first)] =
          w.levels[code] * w.absmax[static_cast<std::size_t>(cut.param_of(i))].scale;
    }
    return status::ok;
  });
}

}  // namespace vq::inline v1

#endif
