// Attention of sequences of any length: softmax(Q K^T / sqrt(size)) V for each head.
//
// Several sequences lie one after the other in the rows of one matrix, so that linear layers
// multiply all of them at once; only attention keeps them apart. With fewer heads of keys than of
// queries (grouped-query attention) neighbouring queries share one. Queries are the last of the
// sequence: with a cache of keys there are more keys than queries.
#ifndef ENGINE_LANGUAGE_SEQUENCE_ATTENTION_HPP
#define ENGINE_LANGUAGE_SEQUENCE_ATTENTION_HPP

#include <cmath>
#include <vector>

#include "engine/float_conv2d.hpp"
#include "engine/tensor.hpp"

namespace engine {

// Rows [begin, begin + count) of a matrix.
struct row_range {
  index_type begin = 0, count = 0;
};

// Ranges of `count` rows each, one after the other.
inline std::vector<row_range> equal_ranges(index_type sequences, index_type count) {
  std::vector<row_range> ranges;
  for (index_type i = 0; i < sequences; ++i) ranges.push_back({i * count, count});
  return ranges;
}

enum class visibility { all, causal };  // causal: a query sees no key that comes after it

struct head_counts {
  index_type queries = 1, keys = 1;
};

using const_row_block = Eigen::Ref<const matrix, 0, Eigen::OuterStride<>>;
using row_block = Eigen::Ref<matrix, 0, Eigen::OuterStride<>>;

// One sequence: queries (n, heads.queries * size), keys and values (m, heads.keys * size), m >= n.
inline void attend(const const_row_block& queries, const const_row_block& keys,
                   const const_row_block& values, head_counts heads, visibility seen,
                   row_block out) {
  const index_type size = queries.cols() / heads.queries, past = keys.rows() - queries.rows();
  const float scale = 1 / std::sqrt(static_cast<float>(size));
  matrix scores(queries.rows(), keys.rows());
  for (index_type h = 0; h < heads.queries; ++h) {
    const index_type shared = h * heads.keys / heads.queries;
    scores.noalias() =
        queries.middleCols(h * size, size) * keys.middleCols(shared * size, size).transpose();
    for (index_type r = 0; r < scores.rows(); ++r) {
      const index_type visible = seen == visibility::causal ? past + r + 1 : keys.rows();
      auto row = scores.row(r).head(visible).array();
      row = ((row - row.maxCoeff()) * scale).exp();
      row /= row.sum();
      scores.row(r).tail(keys.rows() - visible).setZero();
    }
    out.middleCols(h * size, size).noalias() = scores * values.middleCols(shared * size, size);
  }
}

}  // namespace engine

#endif
