// How far the ranking of a quantized model is from that of the float model, query by query.
//
//   vq::overlap_at_k(exact, quantized, 10);      // share of the 10 best that both find
//   vq::compare_ranks(*exact_ranks, *ranks);     // how far the wanted items moved
//   vq::compare_rows(exact_embeddings, embeddings)->mean;   // cosine of each with its own
//
// Recall hides what moves behind the first k; these see it, and need no labels but compare_ranks.
// An index is often built once, in floats, and asked by a quantized model: pass the similarity of
// quantized queries to float items. Embeddings of both models must then mean the same, which
// compare_rows measures and a recall of quantized queries on quantized items does not.
#ifndef VQ_ANALYZE_RETRIEVAL_AGREEMENT_HPP
#define VQ_ANALYZE_RETRIEVAL_AGREEMENT_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <vq/analyze/metrics.hpp>
#include <vq/analyze/retrieval.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

// Mean share of the k best items (all, if there are fewer) that two rankings have in common, in any
// order; equal scores in the order of the items.
// Errors: size_mismatch (the extents differ), no_data (no queries or items), bad_argument (k < 1).
template <readable_view X, readable_view Y>
result<double> overlap_at_k(const X& first, const Y& second, index_type k) {
  if (first.extents() != second.extents()) return status::size_mismatch;
  if (first.size() == 0) return status::no_data;
  if (k < 1) return status::bad_argument;
  std::vector<std::vector<index_type>> best;
  for_each_row(first, [&](index_type, std::span<const float> scores) {
    best.push_back(top_k(scores, k));
    std::sort(best.back().begin(), best.back().end());
  });
  index_type common = 0;
  for_each_row(second, [&](index_type query, std::span<const float> scores) {
    const auto& other = best[static_cast<std::size_t>(query)];
    for (const index_type item : top_k(scores, k)) {
      common += std::binary_search(other.begin(), other.end(), item) ? 1 : 0;
    }
  });
  const index_type found = (std::min)(k, first.extent(1)) * first.extent(0);
  return static_cast<double>(common) / static_cast<double>(found);
}

// The rank of the best of several relevant items of each query (five captions of an image, say);
// other relevant items before it do not count. relevant[i] are the items of query i.
// Errors: size_mismatch (not one list per query), bad_argument (no such item, an empty list).
template <readable_view V>
result<std::vector<index_type>> best_ranks(const V& similarity,
                                           std::span<const std::vector<index_type>> relevant,
                                           ties rule = ties::stable) {
  if (std::ssize(relevant) != similarity.extent(0)) return status::size_mismatch;
  for (const auto& items : relevant) {
    if (items.empty()) return status::bad_argument;
    for (const index_type item : items) {
      if (item < 0 || item >= similarity.extent(1)) return status::bad_argument;
    }
  }
  std::vector<index_type> found;
  for_each_row(similarity, [&](index_type query, std::span<const float> scores) {
    const auto& items = relevant[static_cast<std::size_t>(query)];
    // Only the best of them matters, the first among equals.
    index_type best = items[0];
    for (const index_type item : items) {
      const float a = scores[static_cast<std::size_t>(item)];
      const float b = scores[static_cast<std::size_t>(best)];
      if (ranks_before(a, b) || (!ranks_before(b, a) && item < best)) best = item;
    }
    index_type rank = rank_of(scores, best, rule);
    if (rule == ties::pessimistic) {
      // The others that are as good were counted before it.
      for (index_type i = 0; i < std::ssize(items); ++i) {
        const index_type item = items[static_cast<std::size_t>(i)];
        const float a = scores[static_cast<std::size_t>(item)];
        const float b = scores[static_cast<std::size_t>(best)];
        const bool repeated =
            std::find(items.begin(), items.begin() + i, item) != items.begin() + i;
        if (item != best && !repeated && !ranks_before(b, a)) --rank;
      }
    }
    found.push_back(rank);
  });
  return found;
}

// What happened to the ranks of wanted items; positive: they are found later.
struct rank_change {
  double mean = 0, mean_absolute = 0;
  double moved = 0;  // share of the queries whose rank changed
};

// Errors: size_mismatch, no_data.
inline result<rank_change> compare_ranks(std::span<const index_type> before,
                                         std::span<const index_type> after) noexcept {
  if (before.size() != after.size()) return status::size_mismatch;
  if (before.empty()) return status::no_data;
  rank_change change;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto by = static_cast<double>(after[i] - before[i]);
    change.mean += by;
    change.mean_absolute += by < 0 ? -by : by;
    change.moved += by != 0 ? 1 : 0;
  }
  const auto count = static_cast<double>(before.size());
  return rank_change{change.mean / count, change.mean_absolute / count, change.moved / count};
}

// Cosines of the rows of two matrices, row by row.
struct row_cosines {
  double mean = 1, smallest = 1;
};

// Errors: size_mismatch (the extents differ), no_data (no rows).
template <readable_view X, readable_view Y>
result<row_cosines> compare_rows(const X& x, const Y& y) {
  static_assert(X::rank() == 2 && Y::rank() == 2, "compare_rows: the views must have rank 2");
  if (x.extents() != y.extents()) return status::size_mismatch;
  if (x.extent(0) == 0) return status::no_data;
  row_cosines all{0, 1};
  std::vector<float> other(static_cast<std::size_t>(y.extent(1)));
  for_each_row(x, [&](index_type row, std::span<const float> values) {
    y.read(row * y.extent(1), other);
    const shape_type<1> extents{x.extent(1)};
    const auto both = compare(tensor_view<const float, 1>{values.data(), extents},
                              tensor_view<const float, 1>{other.data(), extents});
    const double cosine = both->cosine();  // the extents agree
    all.mean += cosine;
    all.smallest = cosine < all.smallest ? cosine : all.smallest;
  });
  all.mean /= static_cast<double>(x.extent(0));
  return all;
}

}  // namespace vq::inline v1

#endif
