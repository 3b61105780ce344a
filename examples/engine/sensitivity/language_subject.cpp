#include "engine/sensitivity/language_subject.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/analyze/divergence.hpp>

#include "engine/language/question_answering.hpp"
#include "engine/language/recipe_formats.hpp"

namespace engine {
namespace {

class language_subject final : public subject {
 public:
  language_subject(opened_model files, mosaic_set set, const language_subject_options& options)
      : files_(std::move(files)), set_(std::move(set)), subsets_(options.subsets) {
    run_.threads = options.threads;
    const auto all = set_.questions();
    questions_ = all.first(std::min(all.size(), at(options.items)));
  }

  std::optional<vq::failure> prepare() {
    const vq::recipe nothing{"none", "", {{.pattern = "*", .format = "keep"}}};
    const auto kinds = assign(nothing, files_.weights);
    if (!kinds) return kinds.error();
    for (const vq::assigned_tensor& t : kinds->tensors) {
      if (t.kind == vq::weight_kind::linear) weights_.push_back(t);
    }
    const auto model = build({});
    if (!model) return model.error();
    if (auto wrong = check_questions(*model, set_)) return wrong;
    features_ = look(*model);
    reference_ = answer_questions(*model, questions_, features_, run_, [] {}).logits;
    return std::nullopt;
  }

  std::span<const vq::tensor_info> weights() const override { return weights_; }

  index_type items() const override { return std::ssize(questions_); }

  numbers_or_failure divergence(const format_names& formats) const override {
    const auto given = answers(formats);
    if (!given) return given.error();
    const index_type count = std::ssize(questions_), subsets = std::min(subsets_, count);
    std::vector<double> sums(at(subsets)), tokens(at(subsets));
    const std::size_t size = at(reference_.cols());
    index_type row = 0;
    for (index_type q = 0; q < count; ++q) {
      const std::size_t subset = at(q * subsets / count);
      for (std::size_t t = 0; t < questions_[at(q)].answer.size(); ++t, ++row) {
        const auto kl = vq::kl_of_logits(std::span(reference_.row(row).data(), size),
                                         std::span(given->logits.row(row).data(), size));
        if (!kl) return vq::failure{kl.error(), "sensitivity: the outputs of a trial"};
        sums[subset] += *kl;
        tokens[subset] += 1;
      }
    }
    for (std::size_t s = 0; s < sums.size(); ++s) sums[s] /= tokens[s];
    return sums;
  }

  std::optional<vq::failure> rebase(const format_names& formats) override {
    base_ = merged(formats);
    const auto model = build(base_);
    if (!model) return model.error();
    features_ = look(*model);
    return std::nullopt;
  }

  answers_or_failure right_answers(const format_names& formats) const override {
    auto given = answers(formats);
    if (!given) return given.error();
    return std::move(given->right);
  }

 private:
  tensor_formats merged(const format_names& formats) const {
    tensor_formats all = base_;
    for (std::size_t l = 0; l < formats.size(); ++l) {
      if (!formats[l].empty()) all[weights_[l].name] = formats[l];
    }
    return all;
  }

  vq::result<llava_model, vq::failure> build(const tensor_formats& formats) const {
    return llava_model::build(files_, formats, weight_path::simulated);
  }

  // (questions * patches, features)
  matrix look(const llava_model& model) const {
    const index_type patches = model.vision.patches(), count = std::ssize(questions_);
    matrix all(count * patches, model.vision.features());
    run_((count + questions_at_once - 1) / questions_at_once, [&](index_type batch, index_type) {
      const index_type begin = batch * questions_at_once;
      const auto items =
          questions_.subspan(at(begin), at(std::min(questions_at_once, count - begin)));
      all.middleRows(begin * patches, std::ssize(items) * patches) =
          model.vision_features(pixel_rows(set_, items, files_.images));
    });
    return all;
  }

  vq::result<given_answers, vq::failure> answers(const format_names& formats) const {
    const auto model = build(merged(formats));
    if (!model) return model.error();
    bool sees_anew = false;
    for (std::size_t l = 0; l < formats.size(); ++l) {
      sees_anew =
          sees_anew || (!formats[l].empty() && weights_[l].name.starts_with("vision_tower."));
    }
    return answer_questions(*model, questions_, sees_anew ? look(*model) : features_, run_, [] {});
  }

  mutable opened_model files_;  // reading fields is no change, once prepare() has seen them all
  mosaic_set set_;
  std::span<const mosaic_question> questions_;
  index_type subsets_;
  parallel_for run_;
  std::vector<vq::tensor_info> weights_;
  tensor_formats base_;
  matrix features_;
  matrix reference_;  // logits of the float model
};

}  // namespace

vq::result<std::unique_ptr<subject>, vq::failure> open_language_subject(
    const std::filesystem::path& folder, const language_subject_options& options) {
  auto files = opened_model::open(folder, "llava");
  if (!files) return files.error();
  auto set = mosaic_set::open(options.questions, options.images);
  if (!set) return set.error();
  auto made = std::make_unique<language_subject>(*std::move(files), *std::move(set), options);
  if (auto failed = made->prepare()) return *std::move(failed);
  return std::unique_ptr<subject>(std::move(made));
}

}  // namespace engine
