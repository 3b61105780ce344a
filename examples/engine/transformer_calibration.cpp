#include "engine/transformer_calibration.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <vq/simd.hpp>

#include "engine/format_choice.hpp"
#include "engine/network_pair.hpp"
#include "engine/norm_rewriting.hpp"
#include "engine/weight_refinement.hpp"

namespace engine {
namespace {

// What a matrix product reads.
std::vector<bool> matrix_operands(const graph& g) {
  std::vector<bool> read(g.nodes.size());
  for (const node& n : g.nodes) {
    if (!has_weight(n) && !n.is<attention_scores>() && !n.is<attention_context>()) continue;
    for (const index_type from : n.inputs) read[at(from)] = true;
  }
  return read;
}

class transformer_calibration {
 public:
  using outcome = std::optional<vq::failure>;

  transformer_calibration(const graph& g, const image_set& images, const transformer_scheme& scheme,
                          const parallel_for& run)
      : nets_(g, images, scheme.images, run), scheme_(scheme), run_(run), readers_(g.consumers()) {}

  vq::result<quantized_graph, vq::failure> quantize() && {
    const graph& g = nets_.exact;
    auto bits = assign_bits(g, scheme_.bits);
    if (!bits) return bits.error();
    bits_ = *std::move(bits);
    const std::vector<bool> operand = matrix_operands(g);
    for (index_type i = 0; i < g.size(); ++i) {
      vq::status s = vq::status::ok;
      if (has_weight(g[i])) s = quantize_weight_of(i);
      if (s == vq::status::ok && operand[at(i)] && bits_[at(i)].outputs <= 8) s = find_format(i);
      if (s != vq::status::ok) {
        return vq::failure{s, vq::sentence("calibration: layer ", vq::in_quotes(g[i].name), ": ",
                                           vq::describe(s))};
      }
      if (is_cut(g, i)) {
        nets_.advance(i);
        moments_of_ = -1;
      }
    }
    return std::move(nets_.quantized);
  }

 private:
  node& at_node(index_type i) { return nets_.quantized.network[i]; }

  vq::status quantize_weight_of(index_type i) {
    const index_type from = at_node(i).inputs[0];
    const int bits = bits_[at(i)].weights;
    auto& weight = nets_.quantized.weights[at(i)];
    if (auto* conv = std::get_if<conv2d>(&at_node(i).op)) {  // no moments: it reads an image
      auto w = refine_weight(conv->weight, conv->bias, nullptr, bits, {scheme_.weights.range});
      if (!w) return w.error();
      weight = *std::move(w);
      return vq::status::ok;
    }
    if (scheme_.weights.needs_moments() && moments_of_ != from) gather_moments(from);
    auto& layer = std::get<linear>(at_node(i).op);
    auto w = refine_weight(layer.weight, layer.bias, moments_ ? &*moments_ : nullptr, bits,
                           scheme_.weights);
    if (!w) return w.error();
    weight = *std::move(w);
    return vq::status::ok;
  }

  // Of the inputs of linear layers that read node `from`; kept for all of them.
  void gather_moments(index_type from) {
    const index_type features = at_node(from).shape.back();
    moments_.emplace(features);
    moments_of_ = from;
    nets_.for_each_output(from, true, [&](std::span<const float> q, std::span<const float> x) {
      moments_->add(q.data(), x.data(), std::ssize(q) / features);
    });
  }

  vq::status find_format(index_type i) {
    const node& n = at_node(i);
    if (n.is<layer_norm>() && scheme_.norms != norm_rewriting::none && linear_layers_read(i)) {
      auto grid = rewrite_norm(nets_, i, {scheme_.norms, scheme_.range, bits_[at(i)].outputs},
                               readers_[at(i)], run_);
      if (!grid) return grid.error();
      if (*grid) {
        nets_.quantized.outputs[at(i)] = **std::move(grid);
        return vq::status::ok;
      }
    }
    static const std::vector<format_family> affine{format_family::affine};
    const auto& candidates = n.is<softmax>() ? scheme_.probabilities
                             : n.is<gelu>()  ? scheme_.after_gelu
                                             : affine;
    vq::histogram_observer seen;
    vq::status s = vq::status::ok;
    nets_.for_each_output(i, false, [&](std::span<const float> q, std::span<const float>) {
      const vq::tensor_view<const float, 1> values(q.data(), {std::ssize(q)});
      if (s == vq::status::ok) s = seen.observe(vq::simd::native, values);
    });
    if (s != vq::status::ok) return s;
    const auto h = seen.snapshot();
    if (!h) return h.error();
    auto chosen = choose_format(*h, bits_[at(i)].outputs, scheme_.range, candidates);
    if (!chosen) return chosen.error();
    nets_.quantized.outputs[at(i)] = std::move(chosen->format);
    return vq::status::ok;
  }

  bool linear_layers_read(index_type i) const {
    for (const index_type reader : readers_[at(i)]) {
      if (!nets_.exact[reader].is<linear>()) return false;
    }
    return true;
  }

  network_pair nets_;
  transformer_scheme scheme_;
  parallel_for run_;
  std::vector<std::vector<index_type>> readers_;
  std::vector<bit_choice> bits_;
  std::optional<vq::input_moments> moments_;
  index_type moments_of_ = -1;
};

}  // namespace

vq::result<quantized_graph, vq::failure> quantize_transformer(const graph& g,
                                                              const image_set& images,
                                                              const transformer_scheme& scheme,
                                                              const parallel_for& run) {
  return transformer_calibration(g, images, scheme, run).quantize();
}

}  // namespace engine
