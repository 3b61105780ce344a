#include "demo/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <vq/simd.hpp>

#include "demo/divergence.hpp"
#include "demo/networks.hpp"
#include "demo/progress.hpp"
#include "demo/variants.hpp"
#include "engine/evaluation.hpp"
#include "engine/fake_quantization.hpp"
#include "engine/float_executor.hpp"
#include "engine/integer_network.hpp"
#include "engine/path_check.hpp"

namespace demo {

namespace {

using engine::index_type;
using integer_network = engine::int8_network<vq::simd::native_t>;
using outcome = std::optional<vq::failure>;

constexpr index_type timed_images = 30;
constexpr index_type checked_images = 64;

class experiment {
 public:
  experiment(const engine::model& model, const engine::image_set& test,
             const engine::image_set& calibration, const engine::parallel_for& run, report& out)
      : model_(model),
        test_(test),
        calibration_(calibration),
        run_(run),
        out_(out),
        networks_(model, calibration, run) {}

  outcome all() {
    if (auto failed = float_rows()) return failed;
    std::vector<variant> rows = variants();
    if (model_.arch == "resnet") {
      const auto skewed = skewed_variants();
      rows.insert(rows.end(), skewed.begin(), skewed.end());
    }
    for (const variant& v : rows) {
      if (auto failed = quantized_row(v)) return failed;
    }
    print_speed();
    if (auto failed = estimators()) return failed;
    if (auto failed = rewritten_networks()) return failed;
    return both_paths();
  }

 private:
  template <class Network>
  engine::logits_table evaluate(const std::string& what, const Network& network,
                                const engine::image_set& images, index_type count) {
    progress step(model_.name + ": " + what, count);
    return engine::evaluate(network, images, count, run_, [&] { step(); });
  }

  template <class Network>
  void add_row(const std::string& name, const Network& network, const char* path,
               index_type bytes) {
    const engine::logits_table logits = evaluate(name, network, test_, test_.size());
    if (reference_.values.empty()) reference_ = logits;
    add({.model = model_.name,
         .variant = name,
         .top1 = engine::top1(logits, test_),
         .agreement = *vq::argmax_agreement(reference_.view(), logits.view()),
         .images = test_.size(),
         .bytes = bytes,
         .milliseconds = engine::milliseconds(network, test_, timed_images),
         .path = path});
  }
  void add(const row& r) {
    print(r);
    out_.rows.push_back(r);
  }

  outcome float_rows() {
    const engine::graph& original = model_.network;
    add_row("fp32", engine::float_executor(original), "float", original.bytes());
    const auto folded = networks_.get(network::folded);
    if (!folded) return folded.error();
    const engine::graph& g = (*folded)->graph;
    add_row("fp32-folded", engine::float_executor(g), "float", g.bytes());
    return std::nullopt;
  }

  outcome quantized_row(const variant& v) {
    const std::string same = "int8-" + std::string(name_of(default_estimator));
    if (v.name == same) {  // measured already
      row r = *std::find_if(out_.rows.begin(), out_.rows.end(), [&](const row& other) {
        return other.model == model_.name && other.variant == "int8";
      });
      r.variant = same;
      add(r);
      return std::nullopt;
    }
    const auto q = networks_.quantize(v);
    if (!q) return q.error();
    if (v.runs_as() == path::simulated) {
      add_row(v.name, engine::fake_quantized_network(*q), "simulated", q->bytes());
      return std::nullopt;
    }
    const auto network = integer_network::build(*q);
    if (!network) return network.error();
    add_row(v.name, *network, "integer", q->bytes());
    return std::nullopt;
  }

  void print_speed() const {
    const auto time_of = [&](const char* name) {
      const auto at = std::find_if(out_.rows.begin(), out_.rows.end(), [&](const row& r) {
        return r.model == model_.name && r.variant == name;
      });
      return at->milliseconds;
    };
    const double floats = time_of("fp32-folded"), integers = time_of("int8");
    const bool faster = integers < floats;
    std::printf("\n%s: %td parameters; one image on one thread takes %.2f ms in FP32, %.2f ms in "
                "INT8: %.1f times %s\n",
                model_.name.c_str(), model_.network.parameters(), floats, integers,
                faster ? floats / integers : integers / floats, faster ? "faster" : "slower");
  }

  // How the default was chosen: without labels, and without the test images.
  outcome estimators() {
    std::printf("\n%s: INT8 against FP32 on the %td calibration images\n", model_.name.c_str(),
                calibration_.size());
    std::printf("  %-16s %12s %12s\n", "estimator", "KL", "SQNR dB");
    const auto expected = evaluate("calibration images", engine::float_executor(model_.network),
                                   calibration_, calibration_.size());
    for (const engine::estimator e : engine::all_estimators) {
      const std::string name(name_of(e));
      const auto q = networks_.quantize({.name = name, .scheme = bits(8, 8), .activations = e});
      if (!q) return q.error();
      const auto network = integer_network::build(*q);
      if (!network) return network.error();
      const auto logits = evaluate(name, *network, calibration_, calibration_.size());
      const auto d = distance(expected, logits);
      if (!d) return vq::failure{d.error(), vq::describe(d.error())};
      std::printf("  %-16s %12.3e %12.2f%s\n", name.c_str(), d->kl, d->sqnr_db,
                  e == default_estimator ? "   the default" : "");
      out_.estimators.push_back({model_.name, name, d->kl, d->sqnr_db});
    }
    return std::nullopt;
  }

  // Folding, equalizing and skewing must not change what the network computes.
  outcome rewritten_networks() {
    const index_type count = std::min(checked_images, test_.size());
    const auto of = [&](const engine::graph& g) {
      return evaluate("rewritten networks", engine::float_executor(g), test_, count);
    };
    const auto expected = of(model_.network);
    std::printf("\n%s: largest change of a logit by rewriting the float network, %td images\n",
                model_.name.c_str(), count);
    std::vector<std::pair<const char*, network>> kinds{{"folded", network::folded},
                                                       {"equalized", network::equalized}};
    if (model_.arch == "resnet") {
      kinds.insert(kinds.end(), {{"skewed bn", network::skewed_norms},
                                 {"skewed cross-layer", network::skewed_pairs},
                                 {"skewed, equalized", network::skewed_pairs_equalized}});
    }
    for (const auto& [name, kind] : kinds) {
      const auto rewritten = networks_.get(kind);
      if (!rewritten) return rewritten.error();
      const auto error = vq::compare(expected.view(), of((*rewritten)->graph).view());
      const float largest = largest_magnitude(expected.values);
      std::printf("  %-20s %.1e of %.1f\n", name, error->max_abs_error(), double{largest});
    }
    return std::nullopt;
  }

  // The simulation is worth what it agrees with.
  outcome both_paths() {
    const auto q = networks_.quantize({.name = "int8", .scheme = bits(8, 8)});
    if (!q) return q.error();
    const auto network = integer_network::build(*q);
    if (!network) return network.error();
    const auto d = engine::compare_paths(*q, *network, test_, checked_images);
    std::printf("\n%s: int8, simulated in floats against the integer path, %td images\n",
                model_.name.c_str(), d.images);
    std::printf("  each layer from the same codes: %td of %td codes differ, by at most %d;\n",
                d.different_codes, d.codes, d.largest_code_difference);
    std::printf("    logits by at most %.1e of %.1f\n", double{d.same_input_logit_difference},
                double{d.largest_logit});
    std::printf("  end to end: the same class for %td of %td images, logits within %.2f of %.1f\n",
                d.same_class, d.images, double{d.logit_difference}, double{d.largest_logit});
    return std::nullopt;
  }

  static float largest_magnitude(const std::vector<float>& values) {
    float most = 0;
    for (const float value : values) most = std::max(most, std::fabs(value));
    return most;
  }

  const engine::model& model_;
  const engine::image_set& test_;
  const engine::image_set& calibration_;
  engine::parallel_for run_;
  report& out_;
  networks networks_;
  engine::logits_table reference_;  // of the float network on the test images
};

}  // namespace

outcome run_experiment(const engine::model& model, const engine::image_set& test,
                       const engine::image_set& calibration, const engine::parallel_for& run,
                       report& out) {
  return experiment(model, test, calibration, run, out).all();
}

}  // namespace demo
