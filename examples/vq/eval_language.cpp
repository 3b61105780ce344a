// CLIP and LLaVA under a recipe.
#include <optional>
#include <string>
#include <utility>

#include <vq/analyze/answers.hpp>
#include <vq/analyze/classification.hpp>
#include <vq/analyze/retrieval.hpp>

#include "demo/progress.hpp"
#include "engine/language/caption_retrieval.hpp"
#include "engine/language/question_answering.hpp"
#include "engine/language/recipe_formats.hpp"
#include "eval.hpp"

namespace tool {

namespace {

// Everything but the model itself.
struct language_inputs {
  engine::opened_model files;
  engine::mosaic_set set;
  vq::assignment plan;

  static vq::result<language_inputs, vq::failure> open(const eval_inputs& in, const char* type) {
    auto files = engine::opened_model::open(in.model, type);
    if (!files) return files.error();
    auto set = engine::mosaic_set::open(in.data / "mosaic-test.safetensors",
                                        in.data / "cifar10-test.safetensors");
    if (!set) return set.error();
    auto plan = engine::assign(in.recipe, files->weights);
    if (!plan) return plan.error();
    return language_inputs{*std::move(files), *std::move(set), *std::move(plan)};
  }
};

struct both_directions {
  engine::retrieval images, captions;  // which of them asks
};

vq::result<both_directions, vq::failure> retrieve(language_inputs& all,
                                                  const engine::tensor_formats& formats,
                                                  const engine::parallel_for& run,
                                                  demo::progress& line) {
  const auto clip = engine::clip_model::build(all.files, formats, engine::weight_path::packed);
  if (!clip) return clip.error();
  if (auto wrong = engine::check_captions(*clip, all.set)) return *std::move(wrong);
  const auto step = [&] { line(); };
  const auto images = engine::embed_images(*clip, all.set, all.files.images, run, step);
  const auto captions = engine::embed_captions(*clip, all.set, run, step);
  return both_directions{engine::retrieve(images, captions), engine::retrieve(captions, images)};
}

}  // namespace

eval_outcome evaluate_clip(const eval_inputs& in) {
  auto all = language_inputs::open(in, "clip");
  if (!all) return all.error();
  const auto count = std::ssize(all->set.captions());
  demo::progress line("retrieval", 4 * count);
  const auto floats = retrieve(*all, {}, in.run, line);
  if (!floats) return floats.error();
  const auto quantized = retrieve(*all, engine::formats_of(all->plan), in.run, line);
  if (!quantized) return quantized.error();

  eval_result result{.plan = std::move(all->plan), .items = count};
  const auto add = [&](const std::string& direction, const engine::retrieval& a,
                       const engine::retrieval& b) {
    for (const std::ptrdiff_t k : {1, 5}) {
      result.rows.push_back({direction + " R@" + std::to_string(k), vq::recall_at_k(a.stable, k),
                             vq::recall_at_k(b.stable, k)});
    }
  };
  add("image to text", floats->images, quantized->images);
  add("text to image", floats->captions, quantized->captions);
  vq::paired_outcomes paired;
  for (std::size_t i = 0; i < floats->images.stable.size(); ++i) {
    paired.add(floats->images.stable[i] == 0, quantized->images.stable[i] == 0);
  }
  result.p_value = paired.p_value();
  return result;
}

eval_outcome evaluate_llava(const eval_inputs& in) {
  auto all = language_inputs::open(in, "llava");
  if (!all) return all.error();
  const auto questions = all->set.questions();
  const auto formats = engine::formats_of(all->plan);
  // A tower that stays as it is sees nothing else than the float one.
  const bool same_tower = engine::formats_of_part(formats, {"vision_tower."}).empty();
  demo::progress line("questions", (same_tower ? 3 : 4) * std::ssize(questions));
  const auto step = [&] { line(); };
  std::optional<engine::matrix> features;
  const auto answer = [&](const engine::tensor_formats& chosen)
      -> vq::result<std::vector<std::uint8_t>, vq::failure> {
    const auto llava = engine::llava_model::build(all->files, chosen, engine::weight_path::packed);
    if (!llava) return llava.error();
    if (auto wrong = engine::check_questions(*llava, all->set)) return *std::move(wrong);
    if (!features || !same_tower) {
      features =
          engine::vision_features(*llava, all->set, questions, all->files.images, in.run, step);
    }
    return engine::answer_questions(*llava, questions, *features, in.run, step).right;
  };
  const auto floats = answer({});
  if (!floats) return floats.error();
  const auto quantized = answer(formats);
  if (!quantized) return quantized.error();

  eval_result result{.plan = std::move(all->plan), .items = std::ssize(questions)};
  const auto row = [&](const std::string& name, const std::vector<std::uint8_t>& a,
                       const std::vector<std::uint8_t>& b) {
    const auto before = vq::exact_match(a), after = vq::exact_match(b);
    if (before && after) result.rows.push_back({name, *before, *after});
  };
  row("exact match", *floats, *quantized);
  for (std::size_t t = 0; t < engine::question_types.size(); ++t) {
    std::vector<std::uint8_t> a, b;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (engine::at(questions[i].type) != t) continue;
      a.push_back((*floats)[i]);
      b.push_back((*quantized)[i]);
    }
    row(std::string("  ") + engine::question_types[t], a, b);
  }
  result.p_value = vq::compare_answers(*floats, *quantized)->p_value();
  return result;
}

}  // namespace tool
