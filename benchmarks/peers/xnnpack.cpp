// XNNPACK of 2022 (Debian 12) and of 2024: conversions, integer products and convolutions with a
// scale per channel, and weight-only products with dynamic 8-bit activations. Its products are of
// s8 activations.
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>
#include <xnnpack.h>

#include "shapes.hpp"
#include "support.hpp"

namespace {

using op = std::shared_ptr<xnn_operator>;

void check(xnn_status status) {
  if (status != xnn_status_success) throw std::runtime_error("XNNPACK refuses");
}

// Calls create(..., &op).
template <class Create, class... Arguments>
op make(Create create, Arguments... arguments) {
  static const xnn_status initialized = xnn_initialize(nullptr);
  check(initialized);
  xnn_operator_t made = nullptr;
  check(create(arguments..., &made));
  return {made, xnn_delete_operator};
}

vqb::timed call(op o) {
  return [=] { xnn_run_operator(o.get(), nullptr); };
}

struct weights {  // of any shape
  weights(std::size_t count, std::int64_t outputs)
      : scales(static_cast<std::size_t>(outputs), 0.01f),
        bias(scales.size(), 5),
        codes(vqb::random_codes(count).data()) {}

  std::vector<float> scales;
  std::vector<std::int32_t> bias;
  const std::int8_t* codes;
};

std::size_t count(std::int64_t n) { return static_cast<std::size_t>(n); }

// Conversions -------------------------------------------------------------------------------------

enum class format { f32, u8, s8, f16 };

#if VQB_XNNPACK_2024
vqb::timed convert(format from, format to, std::size_t n) {
  const xnn_datatype types[] = {xnn_datatype_fp32, xnn_datatype_quint8, xnn_datatype_qint8,
                                xnn_datatype_fp16};
  const xnn_quantization_params quantization{3, 0.02f};
  const op o =
      make(xnn_create_unary_elementwise_nc, xnn_unary_convert, types[static_cast<int>(from)],
           types[static_cast<int>(to)], nullptr, &quantization, &quantization, 0u);
  check(xnn_reshape_unary_elementwise_nc(o.get(), 1, n, n, n, nullptr));
  const void* in = from == format::f32 ? static_cast<const void*>(vqb::floats(n).data())
                                       : vqb::random_bytes(4 * n).data();
  check(xnn_setup_unary_elementwise_nc(o.get(), in, vqb::scratch<float>(0, n + 64).data()));
  return call(o);
}
#else
vqb::timed convert(format from, format to, std::size_t n) {
  const float* in = vqb::floats(n).data();
  const std::uint8_t* codes = vqb::random_bytes(4 * n).data();
  std::byte* out = vqb::scratch_bytes(0, 4 * n + 256).data();
  op o;
  if (to == format::u8) {
    o = make(xnn_create_convert_nc_f32_qu8, n, n, n, 0.02f, std::uint8_t{3}, std::uint8_t{0},
             std::uint8_t{255}, 0u);
    check(xnn_setup_convert_nc_f32_qu8(o.get(), 1, in, reinterpret_cast<std::uint8_t*>(out),
                                       nullptr));
  } else if (to == format::s8) {
    o = make(xnn_create_convert_nc_f32_qs8, n, n, n, 0.02f, std::int8_t{0}, std::int8_t{-127},
             std::int8_t{127}, 0u);
    check(
        xnn_setup_convert_nc_f32_qs8(o.get(), 1, in, reinterpret_cast<std::int8_t*>(out), nullptr));
  } else if (to == format::f16) {
    o = make(xnn_create_convert_nc_f32_f16, n, n, n, 0u);
    check(xnn_setup_convert_nc_f32_f16(o.get(), 1, in, out, nullptr));
  } else if (from == format::u8) {
    o = make(xnn_create_convert_nc_qu8_f32, n, n, n, 0.02f, std::uint8_t{3}, 0u);
    check(xnn_setup_convert_nc_qu8_f32(o.get(), 1, codes, reinterpret_cast<float*>(out), nullptr));
  } else {
    o = make(xnn_create_convert_nc_f16_f32, n, n, n, 0u);
    check(xnn_setup_convert_nc_f16_f32(o.get(), 1, codes, reinterpret_cast<float*>(out), nullptr));
  }
  return call(o);
}
#endif

// Products and convolutions -----------------------------------------------------------------------

vqb::timed product(const vqb::gemm_shape& s) {
  const std::size_t k = count(s.depth), n = count(s.columns), rows = count(s.rows);
  const auto* x = vqb::random_codes(rows * k).data();
  auto* y = vqb::scratch<std::int8_t>(0, rows * n + 256).data();
  const weights w(s.weights(), s.columns);
#if VQB_XNNPACK_2024
  const op o =
      make(xnn_create_fully_connected_nc_qs8_qc8w, k, n, k, n, std::int8_t{vqb::gemm_zero_point},
           0.02f, w.scales.data(), w.codes, w.bias.data(), std::int8_t{3}, 0.1f, std::int8_t{-128},
           std::int8_t{127}, 0u, nullptr, nullptr);
  check(xnn_reshape_fully_connected_nc_qs8_qc8w(o.get(), rows, nullptr));
  check(xnn_setup_fully_connected_nc_qs8_qc8w(o.get(), x, y));
#else
  const op o = make(xnn_create_fully_connected_nc_qs8, k, n, k, n,
                    std::int8_t{vqb::gemm_zero_point}, 0.02f, 0.01f, w.codes, w.bias.data(),
                    std::int8_t{3}, 0.1f, std::int8_t{-128}, std::int8_t{127}, 0u);
  check(xnn_setup_fully_connected_nc_qs8(o.get(), rows, x, y, nullptr));
#endif
  return call(o);
}

vqb::timed convolution(const vqb::conv_shape& s) {
  const auto pad = static_cast<std::uint32_t>(s.kernel / 2);
  const auto kernel = static_cast<std::uint32_t>(s.kernel);
  const auto groups = static_cast<std::uint32_t>(s.groups);
  const std::size_t side = count(s.side);
  const auto* x = vqb::random_codes(s.in_size()).data();
  auto* y = vqb::scratch<std::int8_t>(0, s.out_size() + 256).data();
  const weights w(s.weights(), s.outputs);
#if VQB_XNNPACK_2024
  const op o = make(xnn_create_convolution2d_nhwc_qs8_qc8w, pad, pad, pad, pad, kernel, kernel, 1u,
                    1u, 1u, 1u, groups, count(s.inputs / s.groups), count(s.outputs / s.groups),
                    count(s.inputs), count(s.outputs), std::int8_t{vqb::conv_zero_point}, 0.02f,
                    w.scales.data(), w.codes, w.bias.data(), std::int8_t{3}, 0.1f,
                    std::int8_t{-128}, std::int8_t{127}, 0u, nullptr, nullptr);
  std::size_t size = 0, alignment = 0, height = 0, width = 0;
  check(xnn_reshape_convolution2d_nhwc_qs8_qc8w(o.get(), 1, side, side, &size, &alignment, &height,
                                                &width, nullptr));
  check(
      xnn_setup_convolution2d_nhwc_qs8_qc8w(o.get(), vqb::scratch_bytes(1, size + 1).data(), x, y));
#else
  const op o =
      make(xnn_create_convolution2d_nhwc_qc8, pad, pad, pad, pad, kernel, kernel, 1u, 1u, 1u, 1u,
           groups, count(s.inputs / s.groups), count(s.outputs / s.groups), count(s.inputs),
           count(s.outputs), std::int8_t{vqb::conv_zero_point}, 0.02f, w.scales.data(), w.codes,
           w.bias.data(), std::int8_t{3}, 0.1f, std::int8_t{-128}, std::int8_t{127}, 0u);
  check(xnn_setup_convolution2d_nhwc_qc8(o.get(), 1, side, side, x, y, nullptr));
#endif
  return call(o);
}

// Weight-only -------------------------------------------------------------------------------------

#if VQB_XNNPACK_2024
constexpr float infinity = std::numeric_limits<float>::infinity();

// The activations are quantized in each call; `copies` distinct matrices take turns.
vqb::timed weight_only(const vqb::gemm_shape& s, int bits, std::size_t copies) {
  const std::size_t k = count(s.depth), n = count(s.columns), rows = count(s.rows);
  constexpr std::size_t group = 32;
  const auto* x = vqb::floats(rows * k).data();
  auto* codes = vqb::scratch<std::int8_t>(0, rows * k + 256).data();
  auto* y = vqb::scratch<float>(1, rows * n + 64).data();
  const auto each = std::make_shared<std::vector<xnn_quantization_params>>(rows + 16);
  const op quantize = make(xnn_create_convert_nc_f32_qd8, 0u);
  check(xnn_reshape_convert_nc_f32_qd8(quantize.get(), rows, k, k, k, nullptr));
  check(xnn_setup_convert_nc_f32_qd8(quantize.get(), x, codes, each->data()));
  const weights w(s.weights(), s.columns);
  const std::vector<std::uint16_t> scales(n * k / group, 0x3c00);
  std::vector<op> products;
  for (std::size_t i = 0; i < copies; ++i) {
    if (bits == 4) {
      products.push_back(make(xnn_create_fully_connected_nc_qd8_f32_qb4w, k, n, k, n, group,
                              std::uint8_t{8}, scales.data(), w.codes, nullptr, -infinity, infinity,
                              0u, nullptr, nullptr));
      check(xnn_reshape_fully_connected_nc_qd8_f32_qb4w(products[i].get(), rows, nullptr));
      check(xnn_setup_fully_connected_nc_qd8_f32_qb4w(products[i].get(), codes, y, each->data()));
    } else {
      products.push_back(make(xnn_create_fully_connected_nc_qd8_f32_qc8w, k, n, k, n,
                              w.scales.data(), w.codes, nullptr, -infinity, infinity, 0u, nullptr,
                              nullptr));
      check(xnn_reshape_fully_connected_nc_qd8_f32_qc8w(products[i].get(), rows, nullptr));
      check(xnn_setup_fully_connected_nc_qd8_f32_qc8w(products[i].get(), codes, y, each->data()));
    }
  }
  return [=, i = std::size_t{0}]() mutable {
    static_cast<void>(each);
    xnn_run_operator(quantize.get(), nullptr);
    xnn_run_operator(products[i++ % products.size()].get(), nullptr);
  };
}

void add_weight_only() {
  for (const auto& [kernel, bits] :
       {std::pair{"weight_only_int4_g32_s8", 4}, {"weight_only_int8_s8", 8}}) {
    const auto add = [&, b = bits](const vqb::gemm_shape& s, const char* suffix,
                                   std::size_t copies) {
      vqb::add(kernel, s.case_name() + suffix, "xnnpack", {s.operations(), vqb::operations},
               [=] { return weight_only(s, b, copies); });
    };
    for (const auto& s : vqb::weight_only_shapes) add(s, "", 1);
    const std::size_t size = vqb::cold_shape.weights() * static_cast<std::size_t>(bits) / 8;
    add(vqb::cold_shape, "cold", vqb::beyond_cache_bytes() / size + 1);
  }
}
#else
void add_weight_only() {}
#endif

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    const auto add = [&](const char* kernel, std::size_t bytes, format from, format to) {
      vqb::add(kernel, set.name, "xnnpack", {bytes * set.elements, vqb::bytes},
               [=] { return convert(from, to, set.elements); });
    };
    add("quantize_u8", 5, format::f32, format::u8);
    add("quantize_s8", 5, format::f32, format::s8);
    add("dequantize_u8", 5, format::u8, format::f32);
    add("convert_f16", 6, format::f32, format::f16);
    add("convert_from_f16", 6, format::f16, format::f32);
  }
  for (const auto& s : vqb::gemm_shapes) {
    vqb::add("gemm_u8", s.case_name(), "xnnpack", {s.operations(), vqb::operations},
             [=] { return product(s); });
  }
  vqb::for_each_convolution([](const char* kernel, const vqb::conv_shape& s) {
    vqb::add(kernel, s.case_name(), "xnnpack", {s.operations(), vqb::operations},
             [=] { return convolution(s); });
  });
  add_weight_only();
  return true;
}();

}  // namespace
