// 8-bit weights as bitsandbytes stores them: LLM.int8(), one scale per row.
//
//   auto w = vq::quantize_llm_int8(vq::simd::native, floats, {4096, 11008}, "fc1.weight");
//   if (!w) return report(vq::describe(w.error()));
//   vq::for_each_tensor("fc1", *w, [&](const vq::tensor_info& t, auto bytes) { ... });
//
//   auto read = vq::find_llm_int8(file, "fc1");            // a safetensors_file or a checkpoint
//   vq::status s = vq::load_floats(vq::simd::native, *read, 0, floats);
//
// For the linear layer P (outputs N, inputs K) a checkpoint holds
//
//   P.weight          I8  [N, K]    round_even(w * (127 / absmax of the row))
//   P.SCB             F32 [N]       the absmax of every row; value = code * SCB / 127
//   P.weight_format   U8  []        0: row-major. Older writers stored tiled layouts as 1, 2 and 3
//                                   (col32, col_turing, col_ampere), which are refused here
//
// Outliers belong to the activations, which nn/llm_int8.hpp splits when a layer runs.
// Sources: Dettmers et al. 2022 (arXiv 2208.07339); bitsandbytes, nn/modules.py.
#ifndef VQ_IO_LLM_INT8_HPP
#define VQ_IO_LLM_INT8_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/stored_statistics.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/policy/vectorwise_int8.hpp>
#include <vq/quantizer/fit_quantize.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

using llm_int8_weights = quantizer<vectorwise_int8, per_channel<0>>;

// A quantized weight in memory.
struct llm_int8_weight {
  index_type outputs = 0, inputs = 0;
  std::vector<std::int8_t> codes;
  std::vector<scale_param> absmax;  // of every output
};

// The tensors that the weight of layer `linear` becomes.
inline std::vector<tensor_info> tensors_of_llm_int8(const std::string& linear, index_type outputs,
                                                    index_type inputs) {
  return {{linear + ".weight", dtype::i8, {outputs, inputs}},
          {linear + ".SCB", dtype::f32, {outputs}},
          {linear + ".weight_format", dtype::u8, {}}};
}

// `name` is for messages. Errors: size_mismatch, bad_argument (no values), not_finite.
template <execution E, parallel_for P = serial_t>
result<llm_int8_weight, failure> quantize_llm_int8(E e, std::span<const float> values,
                                                   const shape_type<2>& shape,
                                                   std::string_view name,
                                                   const P& parallel = serial) {
  if (auto wrong = check_values(values.size(), shape, name)) return *std::move(wrong);
  llm_int8_weight w{shape[0], shape[1], std::vector<std::int8_t>(values.size()),
                    std::vector<scale_param>(static_cast<std::size_t>(shape[0]))};
  const tensor_view<const float, 2> view{values.data(), shape};
  const status s = fit_quantize(e, llm_int8_weights{}, view, w.absmax, w.codes, parallel);
  if (s == status::not_finite) return failure{s, not_finite_sentence(name, values)};
  if (s != status::ok) {
    return failure{s, sentence("tensor ", in_quotes(name), ": ", describe(s))};
  }
  return w;
}

// Calls f(tensor_info, bytes) for every tensor of the weight of layer `linear`.
template <class F>
void for_each_tensor(const std::string& linear, const llm_int8_weight& w, F f) {
  static constexpr std::byte row_major[1]{};  // a writer may keep what it is lent
  const std::vector<tensor_info> infos = tensors_of_llm_int8(linear, w.outputs, w.inputs);
  f(infos[0], std::as_bytes(std::span(w.codes)));
  f(infos[1], std::as_bytes(std::span(w.absmax)));
  f(infos[2], std::span<const std::byte>(row_major));
}

// A weight of a file that was found to be sound; the codes stay where the file lies.
struct llm_int8_view {
  shape_type<2> shape{};
  std::span<const std::int8_t> codes;
  std::vector<scale_param> absmax;

  index_type size() const noexcept { return shape[0] * shape[1]; }
};

// True where layer `linear` has row scales beside its weight.
template <tensor_source S>
bool is_llm_int8(const S& source, std::string_view linear) {
  return source.find(sentence(linear, ".SCB")) != nullptr;
}

// Errors: not_found, bad_format, type_mismatch, size_mismatch, not_finite.
template <tensor_source S>
result<llm_int8_view, failure> find_llm_int8(const S& source, std::string_view linear) {
  const std::string name = sentence(linear, ".weight");
  const auto refuse = [&](status code, const auto&... rule) {
    return failure{code, sentence(source.name(), ": tensor ", in_quotes(name), ": ", rule...)};
  };
  const tensor_entry* codes = source.find(name);
  if (codes == nullptr) return refuse(status::not_found, "is not in the file");
  if (codes->type != dtype::i8) {
    return refuse(status::type_mismatch, "dtype ", name_of(codes->type), " where I8 is needed");
  }
  if (codes->shape.size() != 2) {
    return refuse(status::size_mismatch, "shape ", spelled(codes->shape),
                  " where a matrix is needed");
  }
  if (const tensor_entry* format = source.find(sentence(linear, ".weight_format"))) {
    if (format->type != dtype::u8 || format->size() != 1) {
      return refuse(status::bad_format, "its weight_format must be one U8");
    }
    const auto layout = std::to_integer<unsigned>(format->bytes[0]);
    if (layout != 0) {
      return refuse(status::bad_format, "its weight_format is ", layout,
                    layout <= 3 ? ", a tiled layout of older writers; only 0, row-major, is read"
                                : ", which is no known layout");
    }
  }
  auto absmax = find_statistics(source, name, sentence(linear, ".SCB"), codes->shape[0]);
  if (!absmax) return absmax.error();
  llm_int8_view w;
  w.shape = {codes->shape[0], codes->shape[1]};
  w.codes = {reinterpret_cast<const std::int8_t*>(codes->bytes.data()), codes->bytes.size()};
  for (const float scale : *absmax) w.absmax.push_back({scale});
  return w;
}

// Values [first, first + out.size()). Errors: size_mismatch.
template <execution E>
status load_floats(E, const llm_int8_view& w, index_type first, std::span<float> out) {
  const auto count = static_cast<index_type>(out.size());
  if (first < 0 || count > w.size() - first) return status::size_mismatch;
  llm_int8_weights::cut(w.shape).for_each_strip(first, count, [&](strip s) {
    kernel<decode_operation<llm_int8_weights>, E>{}({}, w.absmax.data(), s, w.codes.data(),
                                                    out.data() + (s.begin - first));
  });
  return status::ok;
}

}  // namespace vq::inline v1

#endif
