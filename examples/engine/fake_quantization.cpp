#include "engine/fake_quantization.hpp"

#include <vector>

#include <vq/fold/batch_norm.hpp>
#include <vq/quantizer/fake_quantize.hpp>

namespace engine {
namespace {

// A batch norm whose factors and shifts are 8-bit codes with one scale each.
batch_norm quantized_norm(const batch_norm& norm) {
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

}  // namespace

graph with_dequantized_weights(const quantized_graph& q) {
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

}  // namespace engine
