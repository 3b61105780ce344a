// CLIP's retrieval, row by row, in both directions. Embeddings of a tower are kept for every
// precision that a recipe gives it.
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include <vq/analyze/classification.hpp>
#include <vq/analyze/retrieval_agreement.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/fit.hpp>

#include "demo/language/experiment.hpp"
#include "demo/language/rows.hpp"
#include "demo/progress.hpp"
#include "engine/language/caption_retrieval.hpp"
#include "engine/language/recipe_formats.hpp"
#include "engine/precision.hpp"

namespace demo {
namespace {

using engine::index_type;
using engine::matrix;
using json = nlohmann::ordered_json;

vq::tensor_view<const float, 2> view(const matrix& m) { return {m.data(), {m.rows(), m.cols()}}; }

// Codes of `bits`, one scale for all of a matrix, as floats: products of such codes are integers, and
// integers tie.
template <int Bits>
matrix codes(const matrix& floats) {
  const vq::quantizer<vq::uniform<Bits>, vq::per_tensor> q;
  matrix all = floats;
  const auto absmax = all.cwiseAbs().maxCoeff();
  const auto param = q.policy.fit(vq::range{-absmax, absmax});
  for (float& value : all.reshaped()) value = q.policy.encode(value, param);
  return all;
}
matrix stored(const matrix& floats, int bits) {
  return bits == 8 ? codes<8>(floats) : bits == 4 ? codes<4>(floats) : floats;
}

struct embeddings {
  matrix images, captions;
};

// A recall that ties may lower; the second number only where they do.
std::string recall_text(const engine::retrieval& found, index_type k) {
  const double stable = vq::recall_at_k(found.stable, k);
  const double pessimistic = vq::recall_at_k(found.pessimistic, k);
  char text[32];
  if (stable == pessimistic) {
    std::snprintf(text, sizeof text, "%.1f", 100 * stable);
  } else {
    std::snprintf(text, sizeof text, "%.1f/%.1f", 100 * stable, 100 * pessimistic);
  }
  return text;
}

class clip_experiment {
 public:
  clip_experiment(const language_inputs& in, engine::opened_model& files)
      : in_(in), files_(files) {}

  experiment_result all() {
    std::printf("%-52s %11s %7s %11s %11s %7s %11s %8s %8s %7s %9s\n", "CLIP: recall, %",
                "image R@1", "PyTorch", "R@5", "text R@1", "PyTorch", "R@5", "overlap", "cosine",
                "p", "bytes");
    const auto floats = embed("fp16", {});
    if (!floats) return floats.error();
    reference_ = {engine::retrieve(floats->images, floats->captions),
                  engine::retrieve(floats->captions, floats->images)};
    floats_ = *floats;
    add("fp16", float_peer, reference_, *floats, float_bytes());
    for (const retrieval_row& row : clip_rows()) {
      const bool chosen = in_.variants.empty() ? row.when == shown::by_default
                                               : engine::matches(in_.variants, row.name);
      if (!chosen) continue;
      if (auto failed = measure(row)) return *std::move(failed);
    }
    return json{{"rows", rows_}};
  }

 private:
  struct directions {
    engine::retrieval images, captions;  // which of them asks
  };

  std::optional<vq::failure> measure(const retrieval_row& row) {
    std::uint64_t bytes = float_bytes();
    embeddings quantized = floats_;
    if (!row.recipe.rules.empty()) {
      const auto plan = engine::assign(row.recipe, files_.weights);
      if (!plan) return plan.error();
      auto made = embed(row.name, engine::formats_of(*plan));
      if (!made) return made.error();
      quantized = *std::move(made);
      bytes = engine::bytes_of(*plan);
    }
    using side = retrieval_row::side;
    const embeddings& queries = row.quantized == side::index ? floats_ : quantized;
    const embeddings& index = row.quantized == side::queries ? floats_ : quantized;
    const auto ask = [&](const matrix& asking, const matrix& asked) {
      return engine::retrieve(stored(asking, row.query_bits), stored(asked, row.index_bits));
    };
    add(row.name, row.peer,
        {ask(queries.images, index.captions), ask(queries.captions, index.images)}, quantized,
        bytes);
    return std::nullopt;
  }

  vq::result<embeddings, vq::failure> embed(const std::string& name,
                                            const engine::tensor_formats& formats) {
    auto vision = engine::formats_of_part(formats, {"vision_model.", "visual_projection."});
    auto text = engine::formats_of_part(formats, {"text_model.", "text_projection."});
    if (!images_.contains(vision) || !captions_.contains(text)) {
      const auto clip = engine::clip_model::build(files_, formats, engine::weight_path::packed);
      if (!clip) return clip.error();
      if (auto wrong = engine::check_captions(*clip, in_.set)) return *std::move(wrong);
      const index_type count = std::ssize(in_.set.captions());
      if (!images_.contains(vision)) {
        progress line(name + ": images", count);
        images_[vision] =
            engine::embed_images(*clip, in_.set, files_.images, in_.run, [&] { line(); });
      }
      if (!captions_.contains(text)) {
        progress line(name + ": captions", count);
        captions_[text] = engine::embed_captions(*clip, in_.set, in_.run, [&] { line(); });
      }
    }
    return embeddings{images_[vision], captions_[text]};
  }

  static double overlap(const engine::retrieval& a, const engine::retrieval& b) {
    return *vq::overlap_at_k(a.view(), b.view(), overlap_k);
  }

  void add(const std::string& name, const std::string& peer, const directions& found,
           const embeddings& e, std::uint64_t bytes) {
    json row{{"variant", name}, {"bytes", bytes}};
    const std::pair<const char*, std::pair<const engine::retrieval*, const engine::retrieval*>>
        both[] = {{"image_to_text", {&reference_.images, &found.images}},
                  {"text_to_image", {&reference_.captions, &found.captions}}};
    for (const auto& [direction, compared] : both) {
      const auto& [exact, ours] = compared;
      const auto outcomes = paired(*exact, *ours);
      const auto moved = *vq::compare_ranks(exact->stable, ours->stable);
      json one{{"R@1", vq::recall_at_k(ours->stable, 1)},
               {"R@5", vq::recall_at_k(ours->stable, 5)},
               {"R@1_pessimistic", vq::recall_at_k(ours->pessimistic, 1)},
               {"R@5_pessimistic", vq::recall_at_k(ours->pessimistic, 5)},
               {"overlap@10", overlap(*exact, *ours)},
               {"mean_rank_change", moved.mean},
               {"mean_absolute_rank_change", moved.mean_absolute},
               {"mcnemar_p_R@1", outcomes.p_value()}};
      for (const char* k : {"R@1", "R@5"}) {
        const auto theirs = in_.peers(peer, std::string(direction) + "/" + k);
        if (theirs) one["pytorch_" + std::string(k)] = *theirs;
      }
      row[direction] = std::move(one);
    }
    const auto images = *vq::compare_rows(view(floats_.images), view(e.images));
    const auto captions = *vq::compare_rows(view(floats_.captions), view(e.captions));
    row["image_cosine"] = {{"mean", images.mean}, {"smallest", images.smallest}};
    row["text_cosine"] = {{"mean", captions.mean}, {"smallest", captions.smallest}};

    const json &i2t = row["image_to_text"], &t2i = row["text_to_image"];
    std::printf("%-52s %11s %7s %11s %11s %7s %11s %8.1f %8.5f %7.2g %9ju\n", name.c_str(),
                recall_text(found.images, 1).c_str(), peer_text(i2t).c_str(),
                recall_text(found.images, 5).c_str(), recall_text(found.captions, 1).c_str(),
                peer_text(t2i).c_str(), recall_text(found.captions, 5).c_str(),
                50 * (i2t["overlap@10"].get<double>() + t2i["overlap@10"].get<double>()),
                std::min(images.mean, captions.mean),
                std::min(i2t["mcnemar_p_R@1"].get<double>(), t2i["mcnemar_p_R@1"].get<double>()),
                static_cast<std::uintmax_t>(bytes));
    std::fflush(stdout);
    rows_.push_back(std::move(row));
  }

  static std::string peer_text(const json& direction) {
    if (!direction.contains("pytorch_R@1")) return "";
    char text[16];
    std::snprintf(text, sizeof text, "%.1f", 100 * direction["pytorch_R@1"].get<double>());
    return text;
  }

  static vq::paired_outcomes paired(const engine::retrieval& exact, const engine::retrieval& ours) {
    vq::paired_outcomes outcomes;
    for (std::size_t i = 0; i < exact.stable.size(); ++i) {
      outcomes.add(exact.stable[i] == 0, ours.stable[i] == 0);
    }
    return outcomes;
  }

  std::uint64_t float_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& t : files_.weights.tensors()) bytes += t.stored_bytes();
    return bytes;
  }

  static constexpr index_type overlap_k = 10;

  const language_inputs& in_;
  engine::opened_model& files_;
  directions reference_;  // of fp16
  embeddings floats_;
  std::map<engine::tensor_formats, matrix> images_, captions_;
  json rows_ = json::array();
};

}  // namespace

experiment_result run_clip_experiment(const language_inputs& in) {
  auto files = engine::opened_model::open(in.model, "clip");
  if (!files) return files.error();
  return clip_experiment(in, *files).all();
}

}  // namespace demo
