// Image classifiers under a recipe: weights as the floats that their codes stand for.
#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include <vq/analyze/classification.hpp>

#include "demo/progress.hpp"
#include "engine/evaluation.hpp"
#include "engine/float_executor.hpp"
#include "engine/language/recipe_formats.hpp"
#include "engine/simulated_weight.hpp"
#include "eval.hpp"

namespace tool {

namespace {

// Weights in the formats that the recipe gives them.
vq::result<engine::graph, vq::failure> quantized(engine::graph network,
                                                 const engine::tensor_formats& formats) {
  for (engine::node& n : network.nodes) {
    engine::tensor* weight = engine::weight_of(n.op);
    const auto format = formats.find(n.weight + ".weight");
    if (weight == nullptr || format == formats.end()) continue;
    engine::round_to(format->second, weight->values);
    const auto outputs = weight->extent(0);
    const engine::matrix floats =
        Eigen::Map<const engine::matrix>(weight->values.data(), outputs, weight->size() / outputs);
    const auto made =
        engine::quantize_weight(floats, format->second, engine::weight_path::simulated);
    if (!made) {
      return vq::failure{made.error(), vq::sentence("layer ", vq::in_quotes(n.weight), ": ",
                                                    vq::describe(made.error()))};
    }
    const auto& values = std::get<engine::matrix>(*made);
    std::copy_n(values.data(), values.size(), weight->values.begin());
  }
  return network;
}

}  // namespace

eval_outcome evaluate_classifier(const eval_inputs& in) {
  const auto model = engine::load_model(in.model);
  if (!model) return model.error();
  const auto weights = vq::safetensors_file::open(in.model / "model.safetensors");
  if (!weights) return weights.error();
  const auto images = engine::image_set::open(in.data / "cifar10-test.safetensors", *model);
  if (!images) return images.error();
  auto plan = engine::assign(in.recipe, *weights);
  if (!plan) return plan.error();
  auto changed = quantized(model->network, engine::formats_of(*plan));
  if (!changed) return changed.error();

  demo::progress line("images", 2 * images->size());
  const auto step = [&] { line(); };
  const auto logits = [&](const engine::graph& network) {
    return engine::evaluate(engine::float_executor(network), *images, images->size(), in.run, step);
  };
  const auto floats = logits(model->network), narrow = logits(*changed);
  const auto before = vq::predictions(floats.view()), after = vq::predictions(narrow.view());
  if (!before || !after) return vq::failure{vq::status::no_data, "the model has no classes"};
  vq::paired_outcomes paired;
  for (engine::index_type i = 0; i < images->size(); ++i) {
    const auto label = images->label(i);
    paired.add((*before)[engine::at(i)] == label, (*after)[engine::at(i)] == label);
  }
  eval_result result{.plan = *std::move(plan), .items = images->size()};
  result.rows = {{"top-1", engine::top1(floats, *images), engine::top1(narrow, *images)},
                 {"equal to float", 1, *vq::agreement(*before, *after)}};
  result.p_value = paired.p_value();
  return result;
}

}  // namespace tool
