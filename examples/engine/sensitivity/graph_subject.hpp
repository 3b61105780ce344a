// The sensitivity of a CNN or a vision transformer (subject.hpp): a graph with its batch norms
// folded, and images.
//
// What a trial does not change need not be computed again: the outputs at cuts of the graph are kept
// for every image, and a trial starts at the last cut before its first layer. Memory: 50 KB for each
// image and cut of the ViT; `most_floats_at_cut` bounds the tensors that are kept.
//
// With part "inputs", what layers read and both operands of the products of attention (queries, keys,
// probabilities, values) take formats instead of weights: uint8-tensor, uint6-tensor and uint4-tensor
// (asymmetric, ranges of least squared error over the images). A layer's input is quantized for that
// layer alone, also where others read the same tensor.
#ifndef ENGINE_SENSITIVITY_GRAPH_SUBJECT_HPP
#define ENGINE_SENSITIVITY_GRAPH_SUBJECT_HPP

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/analyze/divergence.hpp>

#include "engine/calibration.hpp"
#include "engine/evaluation.hpp"
#include "engine/float_executor.hpp"
#include "engine/graph_part.hpp"
#include "engine/output_format.hpp"
#include "engine/parallel.hpp"
#include "engine/sensitivity/subject.hpp"
#include "engine/simulated_weight.hpp"

namespace engine {

struct graph_subject_options {
  enum class quantized { weights, inputs };

  quantized part = quantized::weights;
  index_type images = 512;
  index_type subsets = 8;
  index_type most_floats_at_cut = 25'000;
  parallel_for run = {};  // inside of one measurement; trials themselves may run in parallel
  weight_simulation simulate = [](std::string_view format, weight_view w) {
    return simulate_weight(format, w);
  };
};

inline constexpr std::array<std::pair<const char*, int>, 3> input_formats{
    std::pair{"uint8-tensor", 8}, std::pair{"uint6-tensor", 6}, std::pair{"uint4-tensor", 4}};

class graph_subject final : public subject {
 public:
  // Errors: outputs that are not finite.
  static vq::result<graph_subject, vq::failure> make(const graph& g, const image_set& images,
                                                     graph_subject_options options) {
    graph_subject s(g, images, std::move(options));
    if (s.options_.part == graph_subject_options::quantized::inputs) {
      if (auto failed = s.fit_inputs()) return *std::move(failed);
    }
    if (auto failed = s.keep_cuts()) return *std::move(failed);
    auto logits = s.logits({});
    if (!logits) return logits.error();
    s.reference_ = *std::move(logits);
    for (const float x : s.reference_.values) {
      if (!std::isfinite(x)) {
        return vq::failure{vq::status::not_finite, "sensitivity: the float model's outputs"};
      }
    }
    return s;
  }

  std::span<const vq::tensor_info> weights() const override { return weights_; }
  const char* part() const override {
    return options_.part == graph_subject_options::quantized::inputs ? "inputs" : "weights";
  }

  index_type items() const override { return images_; }

  numbers_or_failure divergence(const format_names& formats) const override {
    const auto found = logits(formats);
    if (!found) return found.error();
    const index_type count = reference_.images();
    const index_type subsets = std::min(options_.subsets, count);
    std::vector<double> sums(at(subsets)), sizes(at(subsets));
    for (index_type i = 0; i < count; ++i) {
      const auto kl = vq::kl_of_logits(reference_.row(i), found->row(i));
      if (!kl) return vq::failure{kl.error(), "sensitivity: the outputs of a trial"};
      const std::size_t subset = at(i * subsets / count);
      sums[subset] += *kl;
      sizes[subset] += 1;
    }
    for (std::size_t s = 0; s < sums.size(); ++s) sums[s] /= sizes[s];
    return sums;
  }

  std::optional<vq::failure> rebase(const format_names& formats) override {
    auto changed = with_formats(formats);
    if (!changed) return changed.error();
    base_ = *std::move(changed);
    return keep_cuts();
  }

  answers_or_failure right_answers(const format_names& formats) const override {
    const auto found = logits(formats);
    if (!found) return found.error();
    std::vector<std::uint8_t> right;
    for (index_type i = 0; i < found->images(); ++i) {
      right.push_back(vq::argmax(found->row(i)) == labels_[at(i)] ? 1 : 0);
    }
    return right;
  }

  vq::result<logits_table, vq::failure> logits(const format_names& formats) const {
    const auto changed = with_formats(formats);
    if (!changed) return changed.error();
    return run_from(first_cut(formats), *changed);
  }

 private:
  // A network with formats: weights are replaced, inputs are quantized on the way.
  struct variant {
    graph network;
    std::map<index_type, output_format> inputs;  // by the node that is quantized
  };

  graph_subject(const graph& g, const image_set& images, graph_subject_options options)
      : options_(std::move(options)) {
    base_.network = g;
    if (options_.part == graph_subject_options::quantized::inputs) copy_inputs();
    const graph& network = base_.network;
    for (index_type i = 0; i < network.size(); ++i) {
      const tensor* w = weight_of(network[i].op);
      if (w == nullptr || options_.part == graph_subject_options::quantized::inputs) continue;
      nodes_.push_back(i);
      weights_.push_back({network[i].weight + ".weight", vq::dtype::f32, w->shape});
    }
    original_ = network;
    images_ = std::min(options_.images, images.size());
    for (index_type i = 0; i < images_; ++i) {
      const auto pixels = images.read(i);
      at_cut_[0].insert(at_cut_[0].end(), pixels.begin(), pixels.end());
      labels_.push_back(images.label(i));
    }
  }

  // A copy of what a layer reads before every layer, which only that layer reads; of both operands of
  // the products of attention.
  void copy_inputs() {
    graph copied;
    std::vector<index_type> renumbered;
    for (node n : base_.network.nodes) {
      for (index_type& from : n.inputs) from = renumbered[at(from)];
      std::vector<std::string> names;  // of the inputs to copy
      if (weight_of(n.op) != nullptr) names = {n.weight};
      if (n.is<attention_scores>()) names = {n.name + ".query", n.name + ".key"};
      if (n.is<attention_context>()) names = {n.name + ".probabilities", n.name + ".value"};
      for (std::size_t k = 0; k < names.size(); ++k) {
        const shape_type shape = copied[n.inputs[k]].shape;
        copied.nodes.push_back(
            {n.name + " input", "", activation{unclamped}, {n.inputs[k]}, shape});
        n.inputs[k] = copied.size() - 1;
        nodes_.push_back(copied.size());
        weights_.push_back({names[k] + ".weight", vq::dtype::f32, shape});
      }
      renumbered.push_back(copied.size());
      copied.nodes.push_back(std::move(n));
    }
    base_.network = std::move(copied);
  }

  std::optional<vq::failure> fit_inputs() {
    const graph& g = base_.network;
    std::vector<tensor_statistics> seen(g.nodes.size());
    const float_executor network(g);
    auto memory = network.workspace();
    vq::status s = vq::status::ok;
    for (index_type i = 0; i < images_; ++i) {
      network.run(image(0, i), memory, [&](index_type n, std::span<float> output) {
        const bool read = std::ranges::find(nodes_, n + 1) != nodes_.end();
        if (read && s == vq::status::ok) s = seen[at(n)].observe(output);
      });
    }
    for (const index_type layer : nodes_) {
      for (const auto& [name, bits] : input_formats) {
        if (s != vq::status::ok) break;
        visit_activation_format(bits, [&, name = name, bits = bits](auto q) {
          const auto param = estimate(q.policy, seen[at(layer - 1)], estimator::mse);
          s = param ? vq::status::ok : param.error();
          if (param) fitted_[{layer - 1, name}] = affine_format(bits, *param);
        });
      }
      if (s != vq::status::ok) {
        return vq::failure{s, vq::sentence("sensitivity: ", vq::in_quotes(g[layer - 1].name), ": ",
                                           vq::describe(s))};
      }
    }
    return std::nullopt;
  }

  vq::result<variant, vq::failure> with_formats(const format_names& formats) const {
    variant v = base_;
    for (std::size_t l = 0; l < formats.size(); ++l) {
      if (formats[l].empty()) continue;
      const vq::status s =
          fitted_.empty() ? quantize_weight(v, l, formats[l]) : quantize_input(v, l, formats[l]);
      if (s != vq::status::ok) {
        return vq::failure{
            s, vq::sentence("sensitivity: layer ", vq::in_quotes(vq::module_of(weights_[l].name)),
                            ": format ", vq::in_quotes(formats[l]), ": ", vq::describe(s))};
      }
    }
    return v;
  }

  vq::status quantize_weight(variant& v, std::size_t layer, const std::string& format) const {
    tensor& weight = *weight_of(v.network[nodes_[layer]].op);
    weight = *weight_of(original_[nodes_[layer]].op);
    return options_.simulate(format, as_rows(weight.values.data(), weight.shape));
  }

  vq::status quantize_input(variant& v, std::size_t layer, const std::string& format) const {
    const index_type copy = nodes_[layer] - 1;
    v.inputs.erase(copy);
    if (format == vq::keep_format) return vq::status::ok;
    const auto known = fitted_.find({copy, format});
    if (known == fitted_.end()) return vq::status::not_found;
    v.inputs.insert({copy, known->second});
    return vq::status::ok;
  }

  // The last cut that is kept before the first layer with a format; without one the last cut.
  index_type first_cut(const format_names& formats) const {
    index_type first = base_.network.size() - 1;
    for (std::size_t l = formats.size(); l-- > 0;) {
      if (!formats[l].empty()) first = nodes_[l] - (fitted_.empty() ? 0 : 1);
    }
    return std::prev(at_cut_.lower_bound(first))->first;
  }

  std::span<const float> image(index_type cut, index_type i) const {
    const std::size_t size = at(volume(base_.network[cut].shape));
    return std::span(at_cut_.at(cut)).subspan(at(i) * size, size);
  }

  // Outputs of the base at the cuts before layers.
  std::optional<vq::failure> keep_cuts() {
    const graph& g = base_.network;
    std::map<index_type, std::vector<float>> kept;
    kept[0] = std::move(at_cut_[0]);
    for (const index_type layer : nodes_) {
      for (index_type i = layer - (fitted_.empty() ? 1 : 2); i > 0; --i) {
        if (kept.contains(i)) break;
        const bool small = volume(g[i].shape) <= options_.most_floats_at_cut;
        if (!small || !is_cut(g, i) || base_.inputs.contains(i)) continue;
        kept[i].resize(at(images_ * volume(g[i].shape)));
        break;
      }
    }
    at_cut_ = std::move(kept);
    if (at_cut_.size() == 1) return std::nullopt;
    const float_executor network(g);
    std::vector<float_executor::workspace_type> memory;
    for (index_type t = 0; t < options_.run.threads; ++t) memory.push_back(network.workspace());
    options_.run(images_, [&](index_type i, index_type worker) {
      network.run(image(0, i), memory[at(worker)], [&](index_type n, std::span<float> output) {
        if (const auto f = base_.inputs.find(n); f != base_.inputs.end()) {
          static_cast<void>(simulate(f->second, output));
        }
        const auto cut = at_cut_.find(n);
        if (n == 0 || cut == at_cut_.end()) return;
        std::copy(output.begin(), output.end(), cut->second.begin() + i * std::ssize(output));
      });
    });
    return std::nullopt;
  }

  vq::result<logits_table, vq::failure> run_from(index_type cut, const variant& v) const {
    std::vector<index_type> nodes;
    for (index_type i = cut; i < v.network.size(); ++i) nodes.push_back(i);
    const float_executor network(part_of(v.network, nodes));
    std::vector<float_executor::workspace_type> memory;
    for (index_type t = 0; t < options_.run.threads; ++t) memory.push_back(network.workspace());
    logits_table table;
    table.classes = v.network.output().shape.back();
    table.values.resize(at(images_ * table.classes));
    options_.run(images_, [&](index_type i, index_type worker) {
      const auto out =
          network.run(image(cut, i), memory[at(worker)], [&](index_type n, std::span<float> x) {
            const auto format = v.inputs.find(n + cut);
            if (n > 0 && format != v.inputs.end()) {
              static_cast<void>(simulate(format->second, x));
            }
          });
      std::copy(out.begin(), out.end(), table.values.begin() + i * table.classes);
    });
    return table;
  }

  graph_subject_options options_;
  variant base_;
  graph original_;
  std::vector<index_type> nodes_;  // of the layers; of inputs: those after the copies
  std::vector<vq::tensor_info> weights_;
  index_type images_ = 0;
  std::vector<index_type> labels_;
  std::map<index_type, std::vector<float>> at_cut_;  // image by image
  std::map<std::pair<index_type, std::string>, output_format> fitted_;
  logits_table reference_;
};

}  // namespace engine

#endif
