#include "demo/transformer/distributions.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include <vq/calibrate/minmax.hpp>
#include <vq/calibrate/sliced_observer.hpp>
#include <vq/simd.hpp>

#include "demo/transformer/variants.hpp"
#include "engine/float_executor.hpp"
#include "engine/format_choice.hpp"

namespace demo {

namespace {

using engine::at;
using engine::index_type;

// What is collected at one node.
class watched_node {
 public:
  watched_node(const engine::node& n, index_type encoder_layer, layer_part part)
      : node_(n), encoder_layer_(encoder_layer), part_(part) {}

  vq::status observe(std::span<const float> output) {
    vq::status s = values_.observe(vq::simd::native, line(output));
    if (s == vq::status::ok && part_ == layer_part::softmax) {
      scratch_.clear();
      for (const float x : output) {
        if (x > 0) scratch_.push_back(std::log2(x));
      }
      s = logarithms_.observe(vq::simd::native, line(scratch_));
    }
    if (s == vq::status::ok && part_ == layer_part::layer_norm) {
      const index_type features = node_.shape.back();
      const vq::tensor_view<const float, 2> tokens(output.data(),
                                                   {std::ssize(output) / features, features});
      s = channels_.observe(vq::simd::native, tokens);
    }
    return s;
  }

  vq::result<distribution> take(const method& formats) const {
    distribution d{encoder_layer_, part_, node_.name, {}, {}, {}, {}};
    const auto values = values_.snapshot();
    if (!values) return values.error();
    d.values = *values;
    if (const auto logarithms = logarithms_.snapshot()) d.logarithms = *logarithms;
    if (const auto channels = channels_.estimate()) d.channels = *channels;

    const std::vector<format_family> affine{format_family::affine};
    for (const format_family family : part_ == layer_part::softmax ? formats.probabilities
                                      : part_ == layer_part::gelu  ? formats.after_gelu
                                                                   : affine) {
      const auto fitted = engine::choose_format(d.values, bits, formats.range, {&family, 1});
      if (!fitted) return fitted.error();
      d.grids.push_back(
          {engine::name_of(fitted->format), levels_of(fitted->format), fitted->sqnr_db, false});
    }
    std::max_element(d.grids.begin(), d.grids.end(), [](const auto& a, const auto& b) {
      return a.sqnr_db < b.sqnr_db;
    })->chosen = true;
    return d;
  }

  const std::string& name() const { return node_.name; }

 private:
  static constexpr int bits = 4;

  static vq::tensor_view<const float, 1> line(std::span<const float> values) {
    return {values.data(), {std::ssize(values)}};
  }
  static std::vector<float> levels_of(const engine::output_format& format) {
    return std::visit(
        [](const auto& f) {
          const auto values = engine::values_of_codes(f);
          const std::set<float> sorted(values.begin(), values.begin() + (1 << bits));
          return std::vector<float>(sorted.begin(), sorted.end());
        },
        format);
  }

  const engine::node& node_;
  index_type encoder_layer_;
  layer_part part_;
  vq::histogram_observer values_, logarithms_;
  vq::sliced_observer<vq::minmax_observer, vq::per_channel<1>> channels_;
  std::vector<float> scratch_;
};

index_type count_encoder_layers(const engine::graph& g) {
  return std::count_if(g.nodes.begin(), g.nodes.end(),
                       [](const engine::node& n) { return n.is<engine::softmax>(); });
}

// In each encoder layer: softmax, the norm before the feed-forward part, GELU.
std::vector<std::pair<index_type, watched_node>> choose_nodes(const engine::graph& g) {
  const index_type layers = count_encoder_layers(g);
  const std::set<index_type> shown{0, layers / 2, layers - 1};
  std::vector<std::pair<index_type, watched_node>> nodes;
  index_type layer = -1;
  bool norm_follows = false;
  for (index_type i = 0; i < g.size(); ++i) {
    const engine::node& n = g[i];
    if (n.is<engine::softmax>()) ++layer;
    if (!shown.contains(layer)) continue;
    if (n.is<engine::softmax>()) {
      nodes.emplace_back(i, watched_node(n, layer, layer_part::softmax));
      norm_follows = true;
    }
    if (n.is<engine::layer_norm>() && std::exchange(norm_follows, false)) {
      nodes.emplace_back(i, watched_node(n, layer, layer_part::layer_norm));
    }
    if (n.is<engine::gelu>()) nodes.emplace_back(i, watched_node(n, layer, layer_part::gelu));
  }
  return nodes;
}

}  // namespace

vq::result<distributions, vq::failure> observe_distributions(const engine::model& model,
                                                             const engine::image_set& calibration) {
  const engine::graph& g = model.network;
  auto nodes = choose_nodes(g);
  distributions found{model.name,
                      std::min(calibration.size(), engine::most_calibration_images),
                      count_encoder_layers(g),
                      {}};
  const auto refuse = [](const watched_node& node, vq::status s) {
    return vq::failure{s, vq::sentence("distribution: output of ", vq::in_quotes(node.name()), ": ",
                                       vq::describe(s))};
  };
  const engine::float_executor network(g);
  auto memory = network.workspace();
  for (index_type image = 0; image < found.images; ++image) {
    auto next = nodes.begin();  // nodes are run, and listed, in order
    std::optional<vq::failure> failed;
    network.run(calibration.read(image), memory, [&](index_type i, std::span<float> output) {
      if (next == nodes.end() || next->first != i) return;
      const vq::status s = next->second.observe(output);
      if (s != vq::status::ok && !failed) failed = refuse(next->second, s);
      ++next;
    });
    if (failed) return *failed;
  }
  for (const auto& [i, node] : nodes) {
    auto d = node.take(methods::best());
    if (!d) return refuse(node, d.error());
    found.all.push_back(*std::move(d));
  }
  return found;
}

}  // namespace demo
