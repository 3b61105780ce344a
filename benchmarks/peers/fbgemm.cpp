// FBGEMM, built from its source; name its folder to CMake as VQ_FBGEMM_DIR: headers are looked for in
// include/, static libraries anywhere below. Its products pack the activations in each call.
#include <cstdint>
#include <memory>
#include <vector>

#include <fbgemm/Fbgemm.h>
#include <fbgemm/FbgemmConvert.h>
#include <fbgemm/QuantUtils.h>
#include <fbgemm/QuantUtilsAvx2.h>

#include "shapes.hpp"
#include "support.hpp"

namespace {

using namespace fbgemm;

// Products ----------------------------------------------------------------------------------------

struct packed {
  explicit packed(const vqb::gemm_shape& s)
      : rows(static_cast<int>(s.rows)),
        depth(static_cast<int>(s.depth)),
        columns(static_cast<int>(s.columns)),
        a(vqb::random_bytes(static_cast<std::size_t>(s.rows * s.depth)).data()),
        b(matrix_op_t::NoTranspose, depth, columns, vqb::random_codes(s.weights()).data(), columns),
        sums(vqb::scratch<std::int32_t>(0, static_cast<std::size_t>(s.rows * s.columns)).data()),
        scales(static_cast<std::size_t>(columns), 0.002f),
        zeros(scales.size()),
        offsets(scales.size()) {}

  int rows, depth, columns;
  const std::uint8_t* a;
  PackBMatrix<std::int8_t> b;
  std::int32_t* sums;
  std::vector<float> scales;
  std::vector<std::int32_t> zeros, offsets;
};

vqb::timed product_s32(const vqb::gemm_shape& s) {
  const auto p = std::make_shared<packed>(s);
  return [=] {
    PackAMatrix<std::uint8_t, std::int32_t> a(matrix_op_t::NoTranspose, p->rows, p->depth, p->a,
                                              p->depth, nullptr, 1);
    DoNothing<std::int32_t, std::int32_t> nothing;
    const memCopy<> copy(nothing);
    fbgemmPacked(a, p->b, p->sums, p->sums, static_cast<std::uint32_t>(p->columns), copy, 0, 1);
  };
}

vqb::timed product_u8(const vqb::gemm_shape& s) {
  const auto p = std::make_shared<packed>(s);
  auto* const codes =
      vqb::scratch<std::uint8_t>(1, static_cast<std::size_t>(s.rows * s.columns)).data();
  const auto rows = static_cast<std::uint32_t>(s.rows), depth = static_cast<std::uint32_t>(s.depth),
             columns = static_cast<std::uint32_t>(s.columns);
  return [=] {
    PackAWithRowOffset<std::uint8_t> a(matrix_op_t::NoTranspose, rows, depth, p->a, depth, nullptr,
                                       1);
    DoNothing<> nothing;
    const ReQuantizeOutput<false, QuantizationGranularity::OUT_CHANNEL> finish(
        nothing, p->scales.data(), 3, vqb::gemm_zero_point, p->zeros.data(), a.getRowOffsetBuffer(),
        p->offsets.data(), p->offsets.data(), columns);
    fbgemmPacked(a, p->b, codes, p->sums, columns, finish, 0, 1);
  };
}

// Elementwise -------------------------------------------------------------------------------------

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    const std::size_t n = set.elements;
    const auto length = static_cast<std::int64_t>(n);
    const auto add = [&](const char* kernel, double amount, vqb::rate in, auto make) {
      vqb::add(kernel, set.name, "fbgemm", {amount * static_cast<double>(n), in}, make);
    };
    const auto quantize = [=]<class T>(T) {
      return [=]() -> vqb::timed {
        TensorQuantizationParams how{};
        how.scale = 0.02f;
        how.zero_point = std::is_signed_v<T> ? 0 : 3;
        how.precision = 8;
        const float* x = vqb::floats(n).data();
        T* codes = vqb::scratch<T>(0, n).data();
        return [=] { Quantize<T>(x, codes, length, how); };
      };
    };
    add("quantize_u8", 5, vqb::bytes, quantize(std::uint8_t{}));
    add("quantize_s8", 5, vqb::bytes, quantize(std::int8_t{}));
    add("quantize_dynamic_rows", 5, vqb::bytes, [=]() -> vqb::timed {
      const float* x = vqb::floats(n).data();
      auto* rows = vqb::scratch<std::uint8_t>(0, n / 1024 * 1032).data();
      return [=] { FloatOrHalfToFused8BitRowwiseQuantizedSBFloat<float>(x, n / 1024, 1024, rows); };
    });
    add("int4_quantize", 1, vqb::elements, [=]() -> vqb::timed {
      const float* x = vqb::floats(n).data();
      auto* rows = vqb::scratch<std::uint8_t>(0, n).data();
      return [=] { FloatOrHalfToFusedNBitRowwiseQuantizedSBHalf<float>(4, x, n / 32, 32, rows); };
    });
    add("min_max", 4, vqb::bytes, [=]() -> vqb::timed {
      const float* x = vqb::floats(n).data();
      return [=] {
        float lowest = 0, highest = 0;
        FindMinMax(x, &lowest, &highest, length);
        benchmark::DoNotOptimize(lowest);
        benchmark::DoNotOptimize(highest);
      };
    });
    add("convert_f16", 6, vqb::bytes, [=]() -> vqb::timed {
      const float* x = vqb::floats(n).data();
      auto* y = vqb::scratch<float16>(0, n).data();
      return [=] { FloatToFloat16_simd(x, y, n); };
    });
    add("convert_bf16", 6, vqb::bytes, [=]() -> vqb::timed {
      const float* x = vqb::floats(n).data();
      auto* y = vqb::scratch<bfloat16>(0, n).data();
      return [=] { FloatToBfloat16_simd(x, y, n); };
    });
    add("convert_from_f16", 6, vqb::bytes, [=]() -> vqb::timed {
      const auto* x = reinterpret_cast<const float16*>(vqb::random_bytes(2 * n).data());
      auto* y = vqb::scratch<float>(0, n).data();
      return [=] { Float16ToFloat_simd(x, y, n); };
    });
  }
  for (const auto& s : vqb::gemm_shapes) {
    const vqb::work done{s.operations(), vqb::operations};
    vqb::add("gemm_s32", s.case_name(), "fbgemm", done, [=] { return product_s32(s); });
    vqb::add("gemm_u8", s.case_name(), "fbgemm", done, [=] { return product_u8(s); });
  }
  return true;
}();

}  // namespace
