// Says of every batch norm of a network whether it folds, into which layer, or why not.
//
//   const vq::index_type conv_reads[] = {0}, bn_reads[] = {1};
//   const vq::layer_node nodes[] = {{.name = "image", .kind = vq::layer_kind::input},
//                                   {.kind = vq::layer_kind::convolution, .inputs = conv_reads},
//                                   {.kind = vq::layer_kind::batch_norm, .inputs = bn_reads}};
//   vq::fold_verdict verdicts[1];
//   auto found = vq::audit_batch_norms(nodes, verdicts);   // 1; verdicts[0]: backward, target 1
//
// Backward (into the layer before) is preferred; forward (into the layer after) needs that layer to
// add no zeros at its borders. Both look through what a multiply-add per channel commutes with: the
// identity, average pooling that counts no padding, max pooling where every k > 0, and, backward,
// another batch norm that folds there first. Fold in the order of the verdicts.
#ifndef VQ_FOLD_AUDIT_HPP
#define VQ_FOLD_AUDIT_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include <vq/core/result.hpp>
#include <vq/fold/layer_graph.hpp>

namespace vq::inline v1 {

enum class fold_reason : std::uint8_t {
  foldable,
  batch_statistics,
  sample_statistics,
  shared_weights,
  other_readers,
  follows_input,
  follows_add,
  follows_concat,
  follows_separate_branches,
  follows_activation,
  follows_pooling,
  follows_other,
  precedes_output,
  precedes_add,
  precedes_concat,
  precedes_activation,
  precedes_pooling,
  precedes_zero_padding,
  precedes_transposed_convolution,
  precedes_other,
};

// One sentence about the batch norm, in English, without a full stop.
constexpr const char* describe(fold_reason reason) noexcept {
  switch (reason) {
    case fold_reason::foldable:
      return "a neighbouring layer can take it over";
    case fold_reason::batch_statistics:
      return "it normalizes by the statistics of each batch and has no running ones";
    case fold_reason::sample_statistics:
      return "it is not a batch norm: it normalizes each sample by its own statistics";
    case fold_reason::shared_weights:
      return "the weights of the neighbouring layer are used elsewhere as well";
    case fold_reason::other_readers:
      return "the value between it and the neighbouring layer is read elsewhere as well";
    case fold_reason::follows_input:
      return "it follows the input of the network";
    case fold_reason::follows_add:
      return "it follows an addition";
    case fold_reason::follows_concat:
      return "it follows a concatenation";
    case fold_reason::follows_separate_branches:
      return "it follows a concatenation, but can be split by channels and folded into each branch";
    case fold_reason::follows_activation:
      return "it follows an activation";
    case fold_reason::follows_pooling:
      return "it follows a pooling that it does not commute with";
    case fold_reason::follows_other:
      return "it follows a node that is no layer with weights";
    case fold_reason::precedes_output:
      return "it ends the network";
    case fold_reason::precedes_add:
      return "an addition follows it";
    case fold_reason::precedes_concat:
      return "a concatenation follows it";
    case fold_reason::precedes_activation:
      return "an activation follows it";
    case fold_reason::precedes_pooling:
      return "a pooling follows it that it does not commute with";
    case fold_reason::precedes_zero_padding:
      return "the layer that follows it adds zeros at the border, which it would have shifted";
    case fold_reason::precedes_transposed_convolution:
      return "a transposed convolution follows it, whose border sees a part of the kernel only";
    case fold_reason::precedes_other:
      return "a node that is no layer with weights follows it";
  }
  return "unknown reason";
}

enum class fold_direction : std::uint8_t {
  none,      // it stays, as a multiply-add
  backward,  // fold_batch_norm, fold_batch_norm_transposed
  forward,   // fold_batch_norm_forward
};

struct fold_verdict {
  index_type node = -1;  // the batch norm
  fold_direction direction = fold_direction::none;
  index_type target = -1;                              // the layer that takes it over
  fold_reason backward = fold_reason::follows_other;   // foldable, or why not into the one before
  fold_reason forward = fold_reason::precedes_output;  // foldable, or why not into the one after
};

constexpr bool is_normalization(layer_kind kind) noexcept {
  return kind == layer_kind::batch_norm || kind == layer_kind::other_norm;
}

// How many verdicts a network needs.
constexpr index_type count_normalizations(std::span<const layer_node> nodes) noexcept {
  index_type count = 0;
  for (const layer_node& node : nodes) count += is_normalization(node.kind) ? 1 : 0;
  return count;
}

namespace detail {

struct target {
  fold_reason reason = fold_reason::foldable;
  index_type layer = -1;  // where it is foldable
};

// What lets a multiply-add per channel change places with a pooling.
struct commutes {
  bool positive_scale = false;  // with max pooling
  bool zero_shift = false;      // with zeros that are averaged in
};

// The layer at node `at`, or before it, whose outputs may be scaled and shifted for the one reader
// of `at`.
constexpr target find_layer_before(const layer_graph& graph, index_type at,
                                   commutes with) noexcept {
  for (;;) {
    const layer_node& node = graph[at];
    switch (node.kind) {
      case layer_kind::convolution:
      case layer_kind::transposed_convolution:
      case layer_kind::linear:
        if (node.shared_weights) return {fold_reason::shared_weights};
        if (graph.is_read_elsewhere(at)) return {fold_reason::other_readers};
        return {fold_reason::foldable, at};
      case layer_kind::identity:
        break;
      case layer_kind::batch_norm:
        if (node.batch_statistics) return {fold_reason::follows_other};
        with.positive_scale = with.positive_scale && node.positive_scale;
        with.zero_shift = with.zero_shift && node.zero_shift;
        break;
      case layer_kind::average_pool:
        if (node.zero_padding > 0 && !with.zero_shift) return {fold_reason::follows_pooling};
        break;
      case layer_kind::max_pool:
        if (!with.positive_scale) return {fold_reason::follows_pooling};
        break;
      case layer_kind::input:
        return {fold_reason::follows_input};
      case layer_kind::relu:
      case layer_kind::relu6:
      case layer_kind::other_activation:
        return {fold_reason::follows_activation};
      case layer_kind::add:
        return {fold_reason::follows_add};
      case layer_kind::concat:
        if (graph.is_read_elsewhere(at)) return {fold_reason::follows_concat};
        for (const index_type branch : node.inputs) {
          const target inside = find_layer_before(graph, branch, with);
          if (inside.reason != fold_reason::foldable) return {fold_reason::follows_concat};
        }
        return {fold_reason::follows_separate_branches};
      case layer_kind::other_norm:
      case layer_kind::other:
        return {fold_reason::follows_other};
    }
    // `at` is a node to look through.
    if (node.inputs.empty()) return {fold_reason::follows_input};
    if (node.inputs.size() > 1) return {fold_reason::follows_other};
    if (graph.is_read_elsewhere(at)) return {fold_reason::other_readers};
    at = node.inputs[0];
  }
}

// The layer that alone reads node `at`, directly or behind nodes to look through.
constexpr target find_layer_after(const layer_graph& graph, index_type at, commutes with) noexcept {
  for (;;) {
    const layer_graph::readers next = graph.readers_of(at);
    if (next.count == 0) return {fold_reason::precedes_output};
    if (graph.is_read_elsewhere(at)) return {fold_reason::other_readers};
    at = next.first;
    const layer_node& node = graph[at];
    switch (node.kind) {
      case layer_kind::convolution:
      case layer_kind::linear:
        if (node.shared_weights) return {fold_reason::shared_weights};
        if (node.zero_padding > 0 && !with.zero_shift) {
          return {fold_reason::precedes_zero_padding};
        }
        return {fold_reason::foldable, at};
      case layer_kind::transposed_convolution:
        return {fold_reason::precedes_transposed_convolution};
      case layer_kind::identity:
        break;
      case layer_kind::average_pool:
        if (node.zero_padding > 0 && !with.zero_shift) return {fold_reason::precedes_pooling};
        break;
      case layer_kind::max_pool:
        if (!with.positive_scale) return {fold_reason::precedes_pooling};
        break;
      case layer_kind::relu:
      case layer_kind::relu6:
      case layer_kind::other_activation:
        return {fold_reason::precedes_activation};
      case layer_kind::add:
        return {fold_reason::precedes_add};
      case layer_kind::concat:
        return {fold_reason::precedes_concat};
      case layer_kind::input:
      case layer_kind::batch_norm:
      case layer_kind::other_norm:
      case layer_kind::other:
        return {fold_reason::precedes_other};
    }
  }
}

}  // namespace detail

// Writes one verdict for each batch norm (and one sample_statistics for each other normalization),
// in the order of the nodes, and returns how many. bad_argument: an input that does not lie before
// its reader, a batch norm with several inputs, consumers that contradict the inputs.
// too_little_workspace: fewer verdicts than count_normalizations().
constexpr result<index_type> audit_batch_norms(std::span<const layer_node> nodes,
                                               std::span<fold_verdict> verdicts) noexcept {
  const layer_graph graph(nodes);
  if (!graph.is_consistent()) return status::bad_argument;
  if (static_cast<index_type>(verdicts.size()) < count_normalizations(nodes)) {
    return status::too_little_workspace;
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!is_normalization(nodes[i].kind)) continue;
    fold_verdict& verdict = verdicts[count++];
    verdict = {.node = static_cast<index_type>(i)};
    const layer_node& node = nodes[i];
    if (node.kind == layer_kind::other_norm) {
      verdict.backward = verdict.forward = fold_reason::sample_statistics;
      continue;
    }
    if (node.batch_statistics) {
      verdict.backward = verdict.forward = fold_reason::batch_statistics;
      continue;
    }
    const detail::commutes with{node.positive_scale, node.zero_shift};
    const detail::target before = node.inputs.empty()
                                      ? detail::target{fold_reason::follows_input}
                                      : detail::find_layer_before(graph, node.inputs[0], with);
    const detail::target after = detail::find_layer_after(graph, verdict.node, with);
    verdict.backward = before.reason;
    verdict.forward = after.reason;
    if (before.reason == fold_reason::foldable) {
      verdict.direction = fold_direction::backward;
      verdict.target = before.layer;
    } else if (after.reason == fold_reason::foldable) {
      verdict.direction = fold_direction::forward;
      verdict.target = after.layer;
    }
  }
  return static_cast<index_type>(count);
}

}  // namespace vq::inline v1

#endif
