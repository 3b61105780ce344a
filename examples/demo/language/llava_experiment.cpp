// LLaVA's answers, row by row. A row computes again only what its recipe changes: the vision tower's
// features are kept for the float tower and for the last one.
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <vq/analyze/divergence.hpp>

#include "demo/language/experiment.hpp"
#include "demo/language/rows.hpp"
#include "demo/progress.hpp"
#include "engine/language/question_answering.hpp"
#include "engine/language/recipe_formats.hpp"
#include "engine/precision.hpp"

namespace demo {
namespace {

using engine::index_type;
using json = nlohmann::ordered_json;

class llava_experiment {
 public:
  llava_experiment(const language_inputs& in, engine::opened_model& files)
      : in_(in), files_(files) {}

  experiment_result all() {
    std::printf("%-42s %7s %8s %7s %7s %9s %9s %10s %7s  %s\n", "LLaVA: exact match", "%",
                "PyTorch", "differ", "left %", "p", "KL*1000", "bytes", "seconds", "layers");
    if (auto failed = measure("fp16", float_peer, {})) return *std::move(failed);
    for (const recipe_row& row : llava_rows()) {
      const bool chosen = in_.variants.empty() ? row.when == shown::by_default
                                               : engine::matches(in_.variants, row.name);
      if (!chosen) continue;
      const auto plan = engine::assign(row.recipe, files_.weights);
      if (!plan) return plan.error();
      if (auto failed = measure(row.name, row.peer, engine::formats_of(*plan), &*plan)) {
        return *std::move(failed);
      }
    }
    print_types();
    return json{{"rows", rows_}};
  }

 private:
  std::optional<vq::failure> measure(const std::string& name, const std::string& peer,
                                     const engine::tensor_formats& formats,
                                     const vq::assignment* plan = nullptr) {
    const auto start = std::chrono::steady_clock::now();
    const auto llava = engine::llava_model::build(files_, formats, engine::weight_path::packed);
    if (!llava) return llava.error();
    if (auto wrong = engine::check_questions(*llava, in_.set)) return wrong;
    const auto features = features_of(name, *llava, formats);
    engine::given_answers answers;
    {
      progress line(name + ": answers", std::ssize(in_.set.questions()));
      answers = engine::answer_questions(*llava, in_.set.questions(), *features, in_.run,
                                         [&] { line(); });
    }
    if (reference_.right.empty()) reference_ = answers;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return add(name, peer, answers, plan, *llava, took.count());
  }

  // Only tensors of the tower decide.
  std::shared_ptr<const engine::matrix> features_of(const std::string& name,
                                                    const engine::llava_model& llava,
                                                    const engine::tensor_formats& formats) {
    auto tower = engine::formats_of_part(formats, {"vision_tower."});
    if (const auto known = features_.find(tower); known != features_.end()) return known->second;
    if (features_.size() > 1) features_.erase(std::prev(features_.end()));  // not the float one
    progress line(name + ": vision tower", std::ssize(in_.set.questions()));
    auto computed = std::make_shared<const engine::matrix>(engine::vision_features(
        llava, in_.set, in_.set.questions(), files_.images, in_.run, [&] { line(); }));
    return features_[std::move(tower)] = computed;
  }

  std::optional<vq::failure> add(const std::string& name, const std::string& peer,
                                 const engine::given_answers& answers, const vq::assignment* plan,
                                 const engine::llava_model& llava, double seconds) {
    const auto paired = vq::compare_answers(reference_.right, answers.right);
    const auto exact = vq::exact_match(answers.right);
    const auto kl = divergence(answers);
    if (!exact) return vq::failure{exact.error(), "there are no questions"};
    if (!kl) return vq::failure{kl.error(), vq::sentence("row ", name, ": logits")};
    const auto theirs = in_.peers(peer, "all");
    const index_type differ = paired->only_first + paired->only_second;
    const auto bytes = plan == nullptr ? float_bytes() : engine::bytes_of(*plan);
    const std::string layers = std::to_string(llava.layers.packed) + " kernel, " +
                               std::to_string(llava.layers.simulated) + " simulated";
    std::printf("%-42s %7.2f %8s %7td %7.2f %9.2g %9.3f %10ju %7.1f  %s\n", name.c_str(),
                100 * *exact, theirs ? percent(*theirs).c_str() : "", differ,
                100 * vq::retention(*paired), paired->p_value(), 1000 * *kl,
                static_cast<std::uintmax_t>(bytes), seconds, layers.c_str());
    std::fflush(stdout);
    json row{{"variant", name},
             {"exact_match", *exact},
             {"right", paired->both + paired->only_second},
             {"questions", std::ssize(answers.right)},
             {"only_float_right", paired->only_first},
             {"only_this_right", paired->only_second},
             {"retention", vq::retention(*paired)},
             {"mcnemar_p", paired->p_value()},
             {"kl_per_answer_token", *kl},
             {"bytes", bytes},
             {"seconds", seconds},
             {"layers_in_kernels", llava.layers.packed},
             {"layers_simulated", llava.layers.simulated},
             {"by_type", by_type(answers)}};
    if (theirs) row["pytorch"] = *theirs;
    rows_.push_back(std::move(row));
    return std::nullopt;
  }

  static std::string percent(double share) {
    char text[16];
    std::snprintf(text, sizeof text, "%.2f", 100 * share);
    return text;
  }

  std::uint64_t float_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& t : files_.weights.tensors()) bytes += t.stored_bytes();
    return bytes;
  }

  vq::result<double> divergence(const engine::given_answers& answers) const {
    double sum = 0;
    const auto size = engine::at(answers.logits.cols());
    for (index_type i = 0; i < answers.logits.rows(); ++i) {
      const auto kl = vq::kl_of_logits(std::span(reference_.logits.row(i).data(), size),
                                       std::span(answers.logits.row(i).data(), size));
      if (!kl) return kl.error();
      sum += *kl;
    }
    return sum / static_cast<double>(answers.logits.rows());
  }

  json by_type(const engine::given_answers& answers) const {
    json types;
    for (std::size_t t = 0; t < engine::question_types.size(); ++t) {
      std::vector<std::uint8_t> of_type;
      for (std::size_t i = 0; i < answers.right.size(); ++i) {
        if (engine::at(in_.set.questions()[i].type) == t) of_type.push_back(answers.right[i]);
      }
      if (const auto share = vq::exact_match(of_type)) types[engine::question_types[t]] = *share;
    }
    return types;
  }

  void print_types() const {
    std::printf("\n%-42s", "by type of question, %");
    for (const char* type : engine::question_types) std::printf(" %9s", type);
    std::printf("\n");
    for (const json& row : rows_) {
      std::printf("%-42s", row["variant"].get<std::string>().c_str());
      for (const char* type : engine::question_types) {
        std::printf(" %9.2f", 100 * row["by_type"].value(type, 0.0));
      }
      std::printf("\n");
    }
    std::printf("\n");
  }

  const language_inputs& in_;
  engine::opened_model& files_;
  engine::given_answers reference_;  // of fp16
  std::map<engine::tensor_formats, std::shared_ptr<const engine::matrix>> features_;
  json rows_ = json::array();
};

}  // namespace

experiment_result run_llava_experiment(const language_inputs& in) {
  auto files = engine::opened_model::open(in.model, "llava");
  if (!files) return files.error();
  return llava_experiment(in, *files).all();
}

}  // namespace demo
