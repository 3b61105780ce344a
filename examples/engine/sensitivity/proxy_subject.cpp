#include "engine/sensitivity/proxy_subject.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/analyze/sensitivity_proxy.hpp>

#include "engine/float_conv2d.hpp"
#include "engine/float_executor.hpp"
#include "engine/gradient.hpp"
#include "engine/layer_rows.hpp"
#include "engine/simulated_weight.hpp"
#include "engine/weight_quantization.hpp"

namespace engine {
namespace {

class proxy_subject final : public subject {
 public:
  proxy_subject(const graph& g, const image_set& images, const proxy_subject_options& options)
      : options_(options), images_(std::min(options.images, images.size())) {
    options_.subsets = std::min(options.subsets, images_);
    const index_type each = std::max<index_type>(1, options.samples / images_);
    for (index_type i = 0; i < g.size(); ++i) {
      const tensor* w = weight_of(g[i].op);
      if (w == nullptr) continue;
      const layer_rows rows(g[i], g[g[i].inputs[0]].shape);
      infos_.push_back({g[i].weight + ".weight", vq::dtype::f32, w->shape});
      layers_.push_back({i, rows, *w, g[i].weight, {}, {}, std::min(each, rows.rows()), {}, {}});
    }
    for (layer& l : layers_) {
      const index_type samples = l.rows.groups() * images_ * l.samples_of_image;
      if (samples_outputs()) l.inputs.resize(at(samples * l.rows.inputs()));
      if (options.kind == proxy::output_fisher) {
        l.gradients.resize(at(samples * l.rows.outputs()));
      }
    }
    if (options.kind == proxy::output_sqnr) {
      sample_inputs(g, images);
    } else {
      run_backwards(g, images);
    }
  }

  std::span<const vq::tensor_info> weights() const override { return infos_; }
  index_type items() const override { return images_; }

  numbers_or_failure divergence(const format_names& formats) const override {
    std::vector<index_type> choice(formats.size(), vq::untouched);
    for (std::size_t l = 0; l < formats.size(); ++l) {
      if (!formats[l].empty()) choice[l] = static_cast<index_type>(l);
    }
    return vq::additive_cost(
        [&](index_type l, index_type) { return cost(layers_[at(l)], formats[at(l)]); })(choice, 0);
  }

  std::optional<vq::failure> rebase(const format_names&) override { return unknown(); }
  answers_or_failure right_answers(const format_names&) const override { return unknown(); }

 private:
  struct layer {
    index_type node;
    layer_rows rows;
    tensor weight;
    std::string name;
    std::vector<float> inputs, gradients;  // of outputs: samples of each group, image by image
    index_type samples_of_image;
    std::vector<std::vector<float>> squares;  // fisher: of each subset, for every weight
    std::vector<double> trace;                // second-order: of each subset
  };

  static vq::failure unknown() {
    return {vq::status::bad_argument,
            "sensitivity: an estimate of single layers knows no base and no answers"};
  }

  bool samples_outputs() const {
    return options_.kind == proxy::output_sqnr || options_.kind == proxy::output_fisher;
  }

  // Subset i * subsets / images of image i, as measurements have it.
  template <class F>
  void for_each_image(index_type subset, const F& f) const {
    for (index_type i = 0; i < images_; ++i) {
      if (i * options_.subsets / images_ == subset) f(i);
    }
  }

  void sample_inputs(const graph& g, const image_set& images) {
    std::vector<std::vector<layer*>> readers(g.nodes.size());
    for (layer& l : layers_) {
      readers[at(g[l.node].inputs[0])].push_back(&l);
    }
    const float_executor network(g);
    std::vector<float_executor::workspace_type> memory;
    for (index_type t = 0; t < options_.run.threads; ++t) memory.push_back(network.workspace());
    options_.run(images_, [&](index_type image, index_type worker) {
      const auto pixels = images.read(image);
      network.run(pixels, memory[at(worker)], [&](index_type n, std::span<float> values) {
        for (layer* l : readers[at(n)]) sample(*l, image, values.data(), nullptr);
      });
    });
  }
  // Pixels or tokens at random, the same in every run.
  void sample(layer& l, index_type image, const float* in, const float* gradient) const {
    std::mt19937 random(static_cast<std::uint32_t>(image * std::ssize(layers_) + l.node));
    const index_type outputs = l.rows.outputs(), channels = outputs * l.rows.groups();
    for (index_type s = 0; s < l.samples_of_image; ++s) {
      const auto row =
          static_cast<index_type>(random() % static_cast<std::uint32_t>(l.rows.rows()));
      for (index_type group = 0; group < l.rows.groups(); ++group) {
        const index_type place = (group * images_ + image) * l.samples_of_image + s;
        l.rows.copy(in, row, group, l.inputs.data() + place * l.rows.inputs());
        if (gradient == nullptr) continue;
        std::copy_n(gradient + row * channels + group * outputs, outputs,
                    l.gradients.begin() + place * outputs);
      }
    }
  }

  // One subset after the other on each thread: sums of squares have no other order.
  void run_backwards(const graph& g, const image_set& images) {
    const auto subsets = at(options_.subsets);
    for (layer& l : layers_) {
      l.squares.resize(subsets);
      l.trace.resize(subsets);
    }
    std::vector<layer*> by_node(g.nodes.size());
    for (layer& l : layers_) by_node[at(l.node)] = &l;
    const gradient_executor network(g);
    std::vector<gradient_executor::workspace_type> memory;
    for (index_type t = 0; t < options_.run.threads; ++t) memory.push_back(network.workspace());
    options_.run(options_.subsets, [&](index_type subset, index_type worker) {
      matrix windows, gradient_of_weight;
      auto& values = memory[at(worker)];
      std::vector<std::vector<float>> squares;
      for (const layer& l : layers_) squares.emplace_back(l.weight.values.size());
      index_type count = 0;
      for_each_image(subset, [&](index_type image) {
        ++count;
        std::mt19937 random(static_cast<std::uint32_t>(image));
        network.run(
            images.read(image), values,
            [&](std::span<const float> logits, std::span<float> gradient) {
              fisher_gradient(logits, random, gradient);
            },
            [&](index_type n, std::span<const float>, std::span<const float> gradient) {
              layer* l = by_node[at(n)];
              if (l == nullptr) return;
              const float* in = network.output(g[n].inputs[0], values).data();
              if (samples_outputs()) return sample(*l, image, in, gradient.data());
              add_squares(*l, in, gradient.data(), windows, gradient_of_weight,
                          squares[at(l - layers_.data())]);
            });
      });
      for (std::size_t i = 0; i < layers_.size(); ++i) {
        double sum = 0;
        for (float& x : squares[i]) {
          x /= static_cast<float>(count);
          sum += x;
        }
        layers_[i].trace[at(subset)] = sum;
        if (options_.kind == proxy::fisher) layers_[i].squares[at(subset)] = std::move(squares[i]);
      }
    });
  }

  // (dL/dW)^2 of one image, dL/dW = sum over outputs of (dL/dy) x^T.
  static void add_squares(const layer& l, const float* in, const float* gradient, matrix& windows,
                          matrix& of_weight, std::vector<float>& squares) {
    const layer_rows& rows = l.rows;
    const index_type channels = rows.outputs() * rows.groups();
    windows.resize(rows.rows(), rows.inputs());
    for (index_type group = 0; group < rows.groups(); ++group) {
      for (index_type r = 0; r < rows.rows(); ++r) {
        rows.copy(in, r, group, windows.data() + r * rows.inputs());
      }
      const Eigen::Map<const matrix> g(gradient, rows.rows(), channels);
      of_weight.noalias() =
          g.middleCols(group * rows.outputs(), rows.outputs()).transpose() * windows;
      float* to = squares.data() + group * of_weight.size();
      for (index_type i = 0; i < of_weight.size(); ++i) {
        to[i] += of_weight.data()[i] * of_weight.data()[i];
      }
    }
  }

  numbers_or_failure cost(const layer& l, const std::string& format) const {
    tensor quantized = l.weight;
    vq::status s = simulate_weight(format, as_rows(quantized.values.data(), quantized.shape));
    std::vector<double> found;
    for (index_type subset = 0; subset < options_.subsets && s == vq::status::ok; ++subset) {
      const auto one = cost(l, quantized.values, subset);
      s = !one ? one.error() : std::isfinite(*one) ? vq::status::ok : vq::status::not_finite;
      if (one) found.push_back(*one);
    }
    if (s == vq::status::ok) return found;
    return vq::failure{s, vq::sentence("sensitivity: layer ", vq::in_quotes(l.name), ": format ",
                                       vq::in_quotes(format), ": ", vq::describe(s))};
  }
  vq::result<double> cost(const layer& l, const std::vector<float>& quantized,
                          index_type subset) const {
    const auto& exact = l.weight.values;
    if (options_.kind == proxy::second_order) {
      return vq::trace_error(l.trace[at(subset)], exact, quantized);
    }
    if (options_.kind == proxy::fisher) {
      return vq::fisher_error(l.squares[at(subset)], exact, quantized);
    }
    return cost_of_outputs(l, quantized, subset);
  }
  vq::result<double> cost_of_outputs(const layer& l, const std::vector<float>& quantized,
                                     index_type subset) const {
    vq::output_noise all;
    const index_type in = l.rows.inputs(), out = l.rows.outputs();
    index_type begin = images_, count = 0;
    for_each_image(subset, [&](index_type i) { begin = std::min(begin, i), ++count; });
    for (index_type group = 0; group < l.rows.groups(); ++group) {
      using rows_view = vq::tensor_view<const float, 2>;
      const index_type place = (group * images_ + begin) * l.samples_of_image;
      const auto noise = vq::noise_of_outputs(
          rows_view(l.inputs.data() + place * in, {count * l.samples_of_image, in}),
          rows_view(l.weight.values.data() + group * out * in, {out, in}),
          rows_view(quantized.data() + group * out * in, {out, in}),
          gradients_of(l, place, count * l.samples_of_image));
      if (!noise) return noise.error();
      all.merge(*noise);
    }
    if (options_.kind == proxy::output_sqnr) return all.noise_to_signal();
    // Of the mean image, all of its outputs.
    return all.weighted / 2 * static_cast<double>(l.rows.rows()) /
           static_cast<double>(count * l.samples_of_image);
  }
  static std::span<const float> gradients_of(const layer& l, index_type place, index_type samples) {
    if (l.gradients.empty()) return {};
    return std::span(l.gradients)
        .subspan(at(place * l.rows.outputs()), at(samples * l.rows.outputs()));
  }

  proxy_subject_options options_;
  index_type images_ = 0;
  std::vector<layer> layers_;
  std::vector<vq::tensor_info> infos_;
};

}  // namespace

std::unique_ptr<subject> make_proxy_subject(const graph& g, const image_set& images,
                                            const proxy_subject_options& options) {
  return std::make_unique<proxy_subject>(g, images, options);
}

}  // namespace engine
