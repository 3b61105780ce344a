// oneDNN 2.6 (Debian 12) and 3: integer products and convolutions with packed weights; reorders as
// quantize, dequantize and conversion to bfloat16.
#include <algorithm>
#include <cstring>
#include <memory>
#include <omp.h>
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>

#include "shapes.hpp"
#include "support.hpp"

namespace {

using dnnl::memory;
using type = memory::data_type;
using tag = memory::format_tag;
using arguments = std::unordered_map<int, memory>;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory filled(const memory::desc& desc) {
  memory m(desc, engine());
  const auto size = desc.get_size();
  std::memcpy(m.get_data_handle(), vqb::random_bytes(size).data(), size);
  return m;
}

void use_threads(int threads) {
  omp_set_num_threads(threads);
#pragma omp parallel
  vqb::pin_thread(omp_get_thread_num());
}

vqb::timed call(dnnl::primitive primitive, arguments all) {
  return [=, stream = dnnl::stream(engine())]() mutable {
    primitive.execute(stream, all);
    stream.wait();
  };
}

// Scales and zero points: arguments of a call since version 3, part of the primitive before.
struct quantized {
  dnnl::primitive_attr attributes;
  arguments values;

#if DNNL_VERSION_MAJOR >= 3
  void scales(int argument, std::int64_t count, int mask, float value) {
    attributes.set_scales_mask(argument, mask);
    memory m(memory::desc({count}, type::f32, tag::a), engine());
    std::fill_n(static_cast<float*>(m.get_data_handle()), count, value);
    values[DNNL_ARG_ATTR_SCALES | argument] = m;
  }
  void zero_point(int argument, std::int32_t value) {
    attributes.set_zero_points_mask(argument, 0);
    memory m(memory::desc({1}, type::s32, tag::a), engine());
    *static_cast<std::int32_t*>(m.get_data_handle()) = value;
    values[DNNL_ARG_ATTR_ZERO_POINTS | argument] = m;
  }
#else
  void zero_point(int argument, std::int32_t value) {
    attributes.set_zero_points(argument, 0, {value});
  }
#endif

  // u8 times s8 to u8, a scale for each of `outputs`; zero points as shapes.hpp says.
  void layer(std::int64_t outputs, [[maybe_unused]] int mask, std::int32_t zero) {
#if DNNL_VERSION_MAJOR >= 3
    scales(DNNL_ARG_SRC, 1, 0, 0.02f);
    scales(DNNL_ARG_WEIGHTS, outputs, mask, 0.01f);
    scales(DNNL_ARG_DST, 1, 0, 0.1f);
#else
    attributes.set_output_scales(2, std::vector<float>(static_cast<std::size_t>(outputs), 0.002f));
#endif
    if (zero != 0) zero_point(DNNL_ARG_SRC, zero);
    zero_point(DNNL_ARG_DST, 3);
  }
  // f32 to codes (argument DNNL_ARG_DST) or back (DNNL_ARG_SRC), a scale for each row or one.
  void convert(int argument, std::int64_t rows, std::int32_t zero) {
#if DNNL_VERSION_MAJOR >= 3
    scales(argument, rows, rows > 1 ? 1 : 0, 0.02f);
#else
    attributes.set_output_scales(
        rows > 1 ? 1 : 0,
        std::vector<float>(static_cast<std::size_t>(rows), argument == DNNL_ARG_DST ? 50 : 0.02f));
#endif
    if (zero != 0) zero_point(argument, zero);
  }
};

// Products ----------------------------------------------------------------------------------------

vqb::timed product(const vqb::gemm_shape& s, type result, int threads) {
  use_threads(threads);
  const memory::desc a({s.rows, s.depth}, type::u8, tag::ab);
  const memory::desc b({s.depth, s.columns}, type::s8, tag::any);
  const memory::desc c({s.rows, s.columns}, result, tag::ab);
  const memory::desc bias({1, s.columns}, type::f32, tag::ab);
  quantized q;
  if (result == type::u8) q.layer(s.columns, 2, vqb::gemm_zero_point);
#if DNNL_VERSION_MAJOR >= 3
  const auto chosen = result == type::u8
                          ? dnnl::matmul::primitive_desc(engine(), a, b, bias, c, q.attributes)
                          : dnnl::matmul::primitive_desc(engine(), a, b, c, q.attributes);
#else
  const auto chosen =
      result == type::u8
          ? dnnl::matmul::primitive_desc({a, b, bias, c}, q.attributes, engine())
          : dnnl::matmul::primitive_desc(dnnl::matmul::desc{a, b, c}, q.attributes, engine());
#endif
  arguments all = q.values;
  all[DNNL_ARG_SRC] = filled(a);
  all[DNNL_ARG_WEIGHTS] = filled(chosen.weights_desc());
  all[DNNL_ARG_DST] = memory(c, engine());
  if (result == type::u8) {
    all[DNNL_ARG_BIAS] = memory(bias, engine());
    std::memset(all[DNNL_ARG_BIAS].get_data_handle(), 0, bias.get_size());
  }
  return call(dnnl::matmul(chosen), all);
}

// Convolutions ------------------------------------------------------------------------------------

vqb::timed convolution(const vqb::conv_shape& s, int threads) {
  use_threads(threads);
  const std::int64_t pad = s.kernel / 2;
  const memory::desc in({1, s.inputs, s.side, s.side}, type::u8, tag::nhwc);
  const memory::desc out({1, s.outputs, s.side, s.side}, type::u8, tag::nhwc);
  const memory::desc bias({s.outputs}, type::f32, tag::a);
  const memory::dims whole{s.outputs, s.inputs, s.kernel, s.kernel};
  const memory::dims grouped{s.groups, s.outputs / s.groups, s.inputs / s.groups, s.kernel,
                             s.kernel};
  const memory::desc weights(s.groups == 1 ? whole : grouped, type::s8, tag::any);
  quantized q;
  q.layer(s.outputs, s.groups == 1 ? 1 : 3, vqb::conv_zero_point);
  const memory::dims strides{1, 1}, padding{pad, pad};
  using dnnl::convolution_forward;
  constexpr auto inference = dnnl::prop_kind::forward_inference;
  constexpr auto direct = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  const convolution_forward::primitive_desc chosen(engine(), inference, direct, in, weights, bias,
                                                   out, strides, padding, padding, q.attributes);
#else
  const convolution_forward::primitive_desc chosen(
      {inference, direct, in, weights, bias, out, strides, padding, padding}, q.attributes,
      engine());
#endif
  arguments all = q.values;
  all[DNNL_ARG_SRC] = filled(chosen.src_desc());
  all[DNNL_ARG_WEIGHTS] = filled(chosen.weights_desc());
  all[DNNL_ARG_DST] = memory(chosen.dst_desc(), engine());
  all[DNNL_ARG_BIAS] = memory(bias, engine());
  std::memset(all[DNNL_ARG_BIAS].get_data_handle(), 0, bias.get_size());
  return call(convolution_forward(chosen), all);
}

// Reorders ----------------------------------------------------------------------------------------

// Rows of 1024.
vqb::timed reorder(std::size_t count, type from, type to, bool per_row, std::int32_t zero) {
  use_threads(1);
  const auto rows = static_cast<std::int64_t>(count / 1024);
  const memory::desc in({rows, 1024}, from, tag::ab), out({rows, 1024}, to, tag::ab);
  quantized q;
  if (to == type::u8 || to == type::s8) q.convert(DNNL_ARG_DST, per_row ? rows : 1, zero);
  if (from == type::u8 || from == type::s8) q.convert(DNNL_ARG_SRC, 1, zero);
  const dnnl::reorder::primitive_desc chosen(engine(), in, engine(), out, q.attributes);
  const auto* data = from == type::f32 ? static_cast<const void*>(vqb::floats(count).data())
                                       : vqb::random_bytes(count * 4).data();
  arguments all = q.values;
  all[DNNL_ARG_FROM] = memory(in, engine(), const_cast<void*>(data));
  all[DNNL_ARG_TO] = memory(out, engine(), vqb::scratch<float>(0, count).data());
  return call(dnnl::reorder(chosen), all);
}

const bool registered = [] {
  for (const int threads : {1, 2}) {
    for (const auto& s : vqb::gemm_shapes) {
      const vqb::work done{s.operations(), vqb::operations};
      for (const auto& [kernel, result] :
           {std::pair{"gemm_s32", type::s32}, {"gemm_u8", type::u8}}) {
        vqb::add(
            kernel, s.case_name(), "onednn", done,
            [=, r = result] { return product(s, r, threads); }, threads);
      }
    }
    vqb::for_each_convolution([=](const char* kernel, const vqb::conv_shape& s) {
      vqb::add(
          kernel, s.case_name(), "onednn", {s.operations(), vqb::operations},
          [=] { return convolution(s, threads); }, threads);
    });
  }
  for (const auto& set : vqb::working_sets()) {
    const auto add = [&](const char* kernel, double bytes, type from, type to, bool per_row,
                         std::int32_t zero) {
      vqb::add(kernel, set.name, "onednn", {bytes * static_cast<double>(set.elements), vqb::bytes},
               [=] { return reorder(set.elements, from, to, per_row, zero); });
    };
    add("quantize_u8", 5, type::f32, type::u8, false, 3);
    add("quantize_s8", 5, type::f32, type::s8, false, 0);
    add("quantize_per_channel", 5, type::f32, type::s8, true, 0);
    add("dequantize_u8", 5, type::u8, type::f32, false, 3);
    add("convert_bf16", 6, type::f32, type::bf16, false, 0);
  }
  return true;
}();

}  // namespace
