// Ranking metrics: is the wanted item among the best?
//
//   auto ranks = vq::ranks(similarity, relevant, vq::ties::pessimistic);   // one per query
//   vq::recall_at_k(*ranks, 5);
//
// `similarity` is a view of (queries, items), higher is better. The other direction, items asking
// for queries, is the transposed view: the same data with extents and strides exchanged.
// A rank counts from 0: how many items come first. 8-bit embeddings make many equal scores, so how
// they are ordered matters: `stable` puts equal scores in the order of the items, as a stable sort
// does; `pessimistic` puts every other item before the wanted one. Report both when they differ.
// NaN is a score behind all others.
#ifndef VQ_ANALYZE_RETRIEVAL_HPP
#define VQ_ANALYZE_RETRIEVAL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

enum class ties { stable, pessimistic };

// True when score a is better than score b.
constexpr bool ranks_before(float a, float b) noexcept { return a > b || (a == a && b != b); }

// How many items come before item `wanted`, in [0, scores.size()).
constexpr index_type rank_of(std::span<const float> scores, index_type wanted,
                             ties rule = ties::stable) noexcept {
  const float score = scores[static_cast<std::size_t>(wanted)];
  index_type rank = 0;
  for (index_type i = 0; i < static_cast<index_type>(scores.size()); ++i) {
    const float other = scores[static_cast<std::size_t>(i)];
    const bool equal = !ranks_before(score, other) && !ranks_before(other, score);
    const bool first =
        equal ? (rule == ties::pessimistic ? i != wanted : i < wanted) : ranks_before(other, score);
    rank += first ? 1 : 0;
  }
  return rank;
}

// The k best items (all, if there are fewer), best first; equal scores in the order of the items.
inline std::vector<index_type> top_k(std::span<const float> scores, index_type k) {
  std::vector<index_type> items(scores.size());
  std::iota(items.begin(), items.end(), index_type{0});
  const auto best = items.begin() + std::clamp<index_type>(k, 0, std::ssize(items));
  std::partial_sort(items.begin(), best, items.end(), [scores](index_type a, index_type b) {
    const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
    return ranks_before(x, y) || (!ranks_before(y, x) && a < b);
  });
  items.erase(best, items.end());
  return items;
}

// Calls f(row number, scores of that row) for every row of a view of rank 2.
template <readable_view V, class F>
void for_each_row(const V& scores, F f) {
  static_assert(V::rank() == 2, "for_each_row: the view must have rank 2");
  std::vector<float> row(static_cast<std::size_t>(scores.extent(1)));
  for (index_type i = 0; i < scores.extent(0); ++i) {
    scores.read(i * scores.extent(1), row);
    f(i, std::span<const float>(row));
  }
}

// The rank of the one relevant item of each query.
// Errors: size_mismatch (not one item per query), bad_argument (no such item).
template <readable_view V>
result<std::vector<index_type>> ranks(const V& similarity, std::span<const index_type> relevant,
                                      ties rule = ties::stable) {
  if (std::ssize(relevant) != similarity.extent(0)) return status::size_mismatch;
  for (const index_type item : relevant) {
    if (item < 0 || item >= similarity.extent(1)) return status::bad_argument;
  }
  std::vector<index_type> found;
  for_each_row(similarity, [&](index_type query, std::span<const float> scores) {
    found.push_back(rank_of(scores, relevant[static_cast<std::size_t>(query)], rule));
  });
  return found;
}

// Share of the queries whose rank is among the k best; 0 for no queries.
constexpr double recall_at_k(std::span<const index_type> ranks, index_type k) noexcept {
  index_type hits = 0;
  for (const index_type rank : ranks) hits += rank < k ? 1 : 0;
  return ranks.empty() ? 0 : static_cast<double>(hits) / static_cast<double>(ranks.size());
}

// Mean of 1 / (1 + rank); 0 for no queries.
constexpr double mean_reciprocal_rank(std::span<const index_type> ranks) noexcept {
  double sum = 0;
  for (const index_type rank : ranks) sum += 1 / (1 + static_cast<double>(rank));
  return ranks.empty() ? 0 : sum / static_cast<double>(ranks.size());
}

// What one query with several relevant items found (several captions of an image, say). Ranks are
// stable and rise; an item is relevant when its label equals that of the query.
class labelled_query {
 public:
  labelled_query(std::span<const float> scores, std::int32_t label,
                 std::span<const std::int32_t> item_labels) {
    const auto order = top_k(scores, std::ssize(scores));
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
      if (item_labels[static_cast<std::size_t>(order[rank])] == label) {
        relevant_ranks_.push_back(static_cast<index_type>(rank));
      }
    }
  }

  std::span<const index_type> relevant_ranks() const noexcept { return relevant_ranks_; }
  bool hit_at_k(index_type k) const noexcept { return relevant_at_k(k) > 0; }
  // Share of the k best that are relevant.
  double precision_at_k(index_type k) const noexcept {
    return k > 0 ? static_cast<double>(relevant_at_k(k)) / static_cast<double>(k) : 0;
  }
  // Mean, over all relevant items, of the precision at their rank; 0 where nothing is relevant.
  double average_precision() const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < relevant_ranks_.size(); ++i) {
      sum += static_cast<double>(i + 1) / static_cast<double>(relevant_ranks_[i] + 1);
    }
    return relevant_ranks_.empty() ? 0 : sum / static_cast<double>(relevant_ranks_.size());
  }

 private:
  index_type relevant_at_k(index_type k) const noexcept {
    return std::lower_bound(relevant_ranks_.begin(), relevant_ranks_.end(), k) -
           relevant_ranks_.begin();
  }

  std::vector<index_type> relevant_ranks_;
};

// One per query. Errors: size_mismatch (not one label per query and per item).
template <readable_view V>
result<std::vector<labelled_query>> ask_labelled(const V& similarity,
                                                 std::span<const std::int32_t> query_labels,
                                                 std::span<const std::int32_t> item_labels) {
  if (std::ssize(query_labels) != similarity.extent(0) ||
      std::ssize(item_labels) != similarity.extent(1)) {
    return status::size_mismatch;
  }
  std::vector<labelled_query> queries;
  for_each_row(similarity, [&](index_type query, std::span<const float> scores) {
    queries.emplace_back(scores, query_labels[static_cast<std::size_t>(query)], item_labels);
  });
  return queries;
}

inline double mean_average_precision(std::span<const labelled_query> queries) noexcept {
  double sum = 0;
  for (const labelled_query& query : queries) sum += query.average_precision();
  return queries.empty() ? 0 : sum / static_cast<double>(queries.size());
}

}  // namespace vq::inline v1

#endif
