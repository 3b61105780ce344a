// `vq eval`: the accuracy of a bundled model under a recipe, beside its float accuracy.
//
// Which data and which measure follow from config.json: classifiers (ResNet, MobileNet, ViT) are
// shown test images, CLIP looks for captions and mosaics, LLaVA answers questions.
#ifndef TOOL_EVAL_HPP
#define TOOL_EVAL_HPP

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <vq/plan/assignment.hpp>

#include "command.hpp"
#include "engine/parallel.hpp"

namespace tool {

struct eval_options {
  std::string model, recipe, data;
  std::ptrdiff_t threads = 1;
};

// One measure of the float model and of the quantized one.
struct eval_row {
  std::string measure;
  double floats = 0, quantized = 0;  // shares, but for KL
};

struct eval_result {
  vq::assignment plan;
  std::ptrdiff_t items = 0;  // images, captions or questions
  std::vector<eval_row> rows{};
  double p_value = 1;  // McNemar: of the first row's difference
};

struct eval_inputs {
  std::filesystem::path model, data;
  vq::recipe recipe;
  engine::parallel_for run;
};

using eval_outcome = vq::result<eval_result, vq::failure>;

eval_outcome evaluate_classifier(const eval_inputs& in);
eval_outcome evaluate_clip(const eval_inputs& in);
eval_outcome evaluate_llava(const eval_inputs& in);

outcome evaluate(const eval_options& options);

}  // namespace tool

#endif
