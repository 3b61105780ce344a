// Quantization simulated in floats: weights are replaced by what their codes stand for, and a hook
// quantizes and dequantizes every output that would be codes. Runs any mixture of quantized and
// float layers, also such as the integer network has no kernel for.
#ifndef ENGINE_FAKE_QUANTIZATION_HPP
#define ENGINE_FAKE_QUANTIZATION_HPP

#include <span>
#include <utility>
#include <vector>

#include <vq/fold/batch_norm.hpp>
#include <vq/simd.hpp>

#include "engine/float_executor.hpp"
#include "engine/quantized_graph.hpp"

namespace engine {

// A batch norm whose factors and shifts are 8-bit codes with one scale each.
inline batch_norm quantized_norm(const batch_norm& norm) {
  const vq::batch_norm statistics{.gamma = norm.gamma,
                                  .beta = norm.beta,
                                  .mean = norm.mean,
                                  .variance = norm.variance,
                                  .epsilon = norm.epsilon};
  batch_norm out{{}, {}, std::vector<float>(norm.mean.size()), {}, 0};
  for (index_type c = 0; c < statistics.channels(); ++c) {
    const auto [k, shift] = vq::scale_and_shift(statistics, c);
    out.gamma.push_back(static_cast<float>(k));
    out.beta.push_back(static_cast<float>(shift));
  }
  out.variance.assign(norm.mean.size(), 1.f);
  for (std::vector<float>* values : {&out.gamma, &out.beta}) {
    constexpr bytewise<weight_policy<8>, vq::per_tensor> q;
    const vq::tensor_view<float, 1> all(values->data(), {std::ssize(*values)});
    vq::affine_param param[1];
    static_cast<void>(vq::fit(q, all, param));  // finite: the model's loader has looked
    static_cast<void>(vq::fake_quantize(q, all, param, all));
  }
  return out;
}

// The graph with the weights, biases and batch norms that the codes stand for.
inline graph with_dequantized_weights(const quantized_graph& q) {
  graph g = q.network;
  for (index_type i = 0; i < g.size(); ++i) {
    if (auto* norm = std::get_if<batch_norm>(&g[i].op);
        norm != nullptr && q.scheme.norms == quantization_scheme::norm_format::quantized) {
      *norm = quantized_norm(*norm);
    }
    const auto& w = q.weights[at(i)];
    if (!w) continue;
    const auto replace = [&](auto& layer) {
      layer.weight = dequantized(*w, layer.weight.shape);
      layer.bias = w->bias;
      if (w->bias_codes.empty() || !q.outputs[at(i)]) return;  // the bias is added in floats
      const float in = affine_of(*q.outputs[at(g[i].inputs[0])])->scale;
      for (std::size_t c = 0; c < layer.bias.size(); ++c) {
        layer.bias[c] = static_cast<float>(w->bias_codes[c]) * (in * w->params[c].scale);
      }
    };
    if (auto* conv = std::get_if<conv2d>(&g[i].op)) replace(*conv);
    if (auto* fc = std::get_if<linear>(&g[i].op)) replace(*fc);
  }
  return g;
}

// Sum: what products are summed in.
template <class Sum>
class simulated_network {
 public:
  using workspace_type = typename graph_executor<Sum>::workspace_type;

  explicit simulated_network(const quantized_graph& q)
      : network_(with_dequantized_weights(q)), outputs_(q.outputs) {}

  workspace_type workspace() const { return network_.workspace(); }

  std::span<const float> run(std::span<const float> image, workspace_type& memory) const {
    return run(image, memory, [](index_type, std::span<float>) {});
  }
  // The hook sees outputs after they were quantized and dequantized, and may change them.
  template <class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory,
                             Hook&& hook) const {
    return network_.run(image, memory, [&](index_type node, std::span<float> output) {
      if (const auto& format = outputs_[at(node)]) {
        static_cast<void>(simulate(vq::simd::native, *format, output));
      }
      hook(node, output);
    });
  }

 private:
  graph_executor<Sum> network_;
  std::vector<std::optional<output_format>> outputs_;
};

using fake_quantized_network = simulated_network<float>;

}  // namespace engine

#endif
