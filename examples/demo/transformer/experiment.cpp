#include "demo/transformer/experiment.hpp"

#include <chrono>
#include <cstdio>
#include <map>
#include <utility>

#include "demo/divergence.hpp"
#include "demo/progress.hpp"
#include "demo/transformer/networks.hpp"
#include "demo/transformer/variants.hpp"

namespace demo {

namespace {

using engine::index_type;
using outcome = std::optional<vq::failure>;

constexpr index_type checked_images = 64;

class transformer_experiment {
 public:
  transformer_experiment(const engine::model& model, const engine::image_set& test,
                         const engine::image_set& calibration, const engine::parallel_for& run,
                         report& out)
      : model_(model),
        images_{test, calibration, std::min(calibration.size(), engine::most_calibration_images)},
        run_(run),
        out_(out) {}

  outcome all(const std::string& pattern) {
    float_rows();
    for (const transformer_variant& v : transformer_variants()) {
      if (!engine::matches(pattern, v.name)) continue;
      if (auto failed = rows_of(v)) return failed;
    }
    if (images_.held_out_size() > 0) least_divergences();
    std::printf("\n%s: the longest calibration took %.1f s on %td threads\n", model_.name.c_str(),
                longest_calibration_, run_.threads);
    return std::nullopt;
  }

 private:
  template <class Run>
  auto with_progress(const std::string& what, Run run) {
    progress line(model_.name + ": " + what, images_.test.size() + images_.held_out_size());
    return run([&] { line(); });
  }

  // The model comes with weights in FP16: FP32 is what they are computed in.
  void float_rows() {
    const measured m = with_progress("fp32", [&](const auto& step) {
      return run_in_floats(model_.network, images_, run_, step);
    });
    reference_ = m;
    const index_type bytes = model_.network.bytes();
    add("fp32", m, bytes, "float");
    add("w16", m, bytes / 2, "float");
  }

  outcome rows_of(const transformer_variant& v) {
    const auto start = std::chrono::steady_clock::now();
    const auto q = calibrate(model_.network, images_.calibration, v.scheme, run_);
    if (!q) return q.error();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    longest_calibration_ = std::max(longest_calibration_, took.count());

    const bool float_activations = v.scheme.bits.activations == 16;
    if (!float_activations) {
      const auto m = with_progress(
          v.name, [&](const auto& step) { return run_in_integers(*q, images_, run_, step); });
      if (!m) return m.error();
      add(v.name, *m, q->bytes(), "integer");
    }
    if (float_activations || v.simulated_too) {
      const measured m = with_progress(
          v.name, [&](const auto& step) { return run_simulated(*q, images_, run_, step); });
      add(v.name, m, q->bytes(), "simulated");
    }
    if (!v.simulated_too) return std::nullopt;
    print_formats(*q);
    return both_paths(*q);
  }

  void add(const std::string& name, const measured& m, index_type bytes, const char* path) {
    row r{.model = model_.name,
          .variant = name,
          .top1 = engine::top1(m.test, images_.test),
          .agreement = *vq::argmax_agreement(reference_.test.view(), m.test.view()),
          .images = images_.test.size(),
          .bytes = bytes,
          .milliseconds = m.milliseconds,
          .path = path};
    if (const auto d = distance(reference_.held_out, m.held_out)) r.kl = d->kl;
    print(r);
    out_.rows.push_back(r);
  }

  // Which formats calibration chose after softmax and GELU, by how many layers.
  static void print_formats(const engine::quantized_graph& q) {
    std::map<std::string, int> softmax, gelu;
    for (index_type i = 0; i < q.network.size(); ++i) {
      if (!q.outputs[engine::at(i)]) continue;
      const std::string format = engine::name_of(*q.outputs[engine::at(i)]);
      if (q.network[i].is<engine::softmax>()) ++softmax[format];
      if (q.network[i].is<engine::gelu>()) ++gelu[format];
    }
    for (const auto& [what, counts] : {std::pair("softmax", softmax), std::pair("GELU", gelu)}) {
      std::printf("  after %s:", what);
      for (const auto& [name, count] : counts) std::printf(" %s in %d layers", name.c_str(), count);
    }
    std::printf("\n");
  }

  // Which method to take, told without labels and without the test images.
  void least_divergences() const {
    std::printf("\n%s: the least divergence from FP32 on the %td calibration images that no method "
                "was fitted to\n",
                model_.name.c_str(), images_.held_out_size());
    for (const std::string bits : {"w8a8-", "w6a6-", "w4a4-"}) {
      const row* least = nullptr;
      for (const row& r : out_.rows) {
        if (!r.kl || !r.variant.starts_with(bits) || r.path != "integer") continue;
        if (least == nullptr || *r.kl < *least->kl) least = &r;
      }
      if (least != nullptr) std::printf("  %-40s %.5f\n", least->variant.c_str(), *least->kl);
    }
  }

  // The simulation is worth what it agrees with.
  outcome both_paths(const engine::quantized_graph& q) const {
    const auto d = compare_both_paths(q, images_.test, checked_images);
    if (!d) return d.error();
    std::printf("  simulated against integers, %td images: each layer from the same codes, %td of "
                "%td codes differ, by at most %d;\n  end to end the same class for %td, logits "
                "within %.2f of %.1f\n",
                d->images, d->different_codes, d->codes, d->largest_code_difference, d->same_class,
                double{d->logit_difference}, double{d->largest_logit});
    return std::nullopt;
  }

  const engine::model& model_;
  image_sets images_;
  engine::parallel_for run_;
  report& out_;
  measured reference_;  // the float network
  double longest_calibration_ = 0;
};

}  // namespace

outcome run_transformer_experiment(const engine::model& model, const engine::image_set& test,
                                   const engine::image_set& calibration,
                                   const engine::parallel_for& run, const std::string& pattern,
                                   report& out) {
  return transformer_experiment(model, test, calibration, run, out).all(pattern);
}

}  // namespace demo
