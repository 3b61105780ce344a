// Random int8 weights of a product, packed for the integer kernels.
#ifndef VQ_BENCHMARKS_PACKED_MATRIX_HPP
#define VQ_BENCHMARKS_PACKED_MATRIX_HPP

#include <cstdint>
#include <vector>

#include <vq/nn/weights.hpp>

#include "shapes.hpp"
#include "support.hpp"

namespace vqb {

struct packed_matrix {
  std::vector<std::int8_t> codes;
  std::vector<std::int32_t> sums;
  vq::packed_weights view;  // of the codes and sums

  explicit packed_matrix(const gemm_shape& s) {
    const vq::shape_type<2> shape{s.columns, s.depth};
    const auto need = vq::packed_size(shape);
    codes.resize(static_cast<std::size_t>(need.codes));
    sums.resize(static_cast<std::size_t>(need.sums));
    view = *vq::pack_weights<std::int8_t>(
        vq::tensor_view<const std::int8_t, 2>{random_codes(s.weights()).data(), shape}, codes,
        sums);
  }
  packed_matrix(const packed_matrix&) = delete;
  packed_matrix& operator=(const packed_matrix&) = delete;
};

}  // namespace vqb

#endif
