// gemmlowp: u8 times u8 to 32-bit sums. It packs both sides in each call.
#include <cstdint>
#include <memory>
#include <tuple>

#include <gemmlowp/public/gemmlowp.h>

#include "shapes.hpp"
#include "support.hpp"

namespace {

using gemmlowp::MapOrder;
using gemmlowp::MatrixMap;

vqb::timed product(const vqb::gemm_shape& s) {
  const auto context = std::make_shared<gemmlowp::GemmContext>();
  context->set_max_num_threads(1);
  const auto m = static_cast<int>(s.rows), k = static_cast<int>(s.depth),
             n = static_cast<int>(s.columns);
  const auto rows = static_cast<std::size_t>(s.rows);
  const MatrixMap<const std::uint8_t, MapOrder::RowMajor> a(
      vqb::random_bytes(rows * static_cast<std::size_t>(s.depth)).data(), m, k);
  const MatrixMap<const std::uint8_t, MapOrder::ColMajor> b(vqb::random_bytes(s.weights()).data(),
                                                            k, n);
  const MatrixMap<std::int32_t, MapOrder::RowMajor> c(
      vqb::scratch<std::int32_t>(0, rows * static_cast<std::size_t>(s.columns)).data(), m, n);
  return [=, result = c]() mutable {
    gemmlowp::GemmWithOutputPipeline<std::uint8_t, std::int32_t,
                                     gemmlowp::DefaultL8R8BitDepthParams>(
        context.get(), a, b, &result, -7, -128, std::make_tuple());
  };
}

const bool registered = [] {
  for (const auto& s : vqb::gemm_shapes) {
    vqb::add("gemm_s32", s.case_name(), "gemmlowp", {s.operations(), vqb::operations},
             [=] { return product(s); });
  }
  return true;
}();

}  // namespace
