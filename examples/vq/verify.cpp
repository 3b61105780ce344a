#include "verify.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <vq/analyze/metrics.hpp>
#include <vq/plan/summary.hpp>
#include <vq/simd.hpp>

#include "demo/progress.hpp"
#include "engine/parallel.hpp"
#include "precision_table.hpp"
#include "table.hpp"

namespace tool {

namespace {

// What was found about one weight of the source.
struct comparison {
  const stored_weight* source = nullptr;
  const stored_weight* other = nullptr;
  std::string fault{};  // why they do not agree; empty where they do
  bool identical = false;
  vq::error_statistics errors{};
  index_type worst_block = 0;  // its first value
  double worst_block_sqnr = std::numeric_limits<double>::infinity();
};

double decibels(double signal, double noise) {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

std::optional<vq::failure> compare_values(const vq::checkpoint& source, const vq::checkpoint& other,
                                          index_type block, comparison& pair) {
  const auto x = weight_values::open(source, *pair.source);
  if (!x) return x.error();
  const auto y = weight_values::open(other, *pair.other);
  if (!y) return y.error();
  const index_type size = pair.source->size();
  const index_type piece = (index_type{1} << 16) / block * block;
  std::vector<float> from_x(static_cast<std::size_t>(std::min(piece, size))), from_y(from_x.size());
  double worst = 0;  // noise / signal
  for (index_type begin = 0; begin < size; begin += piece) {
    const auto count = std::min(piece, size - begin);
    const auto xs = std::span(from_x).first(static_cast<std::size_t>(count));
    const auto ys = std::span(from_y).first(static_cast<std::size_t>(count));
    for (const vq::status s : {x->load(begin, xs), y->load(begin, ys)}) {
      if (s != vq::status::ok) return vq::failure{s, describe(s)};
    }
    for (index_type at = 0; at < count; at += block) {
      const index_type length = std::min(block, count - at);
      const vq::error_sums sums =
          vq::kernel<vq::sum_errors, vq::simd::native_t>{}(xs.data() + at, ys.data() + at, length);
      pair.errors.add(sums, length);
      const double noise = sums.squared_error == 0 ? 0 : sums.squared_error / sums.signal;
      if (noise > worst) {
        worst = noise;
        pair.worst_block = begin + at;
      }
    }
  }
  pair.worst_block_sqnr = decibels(1, worst);
  return std::nullopt;
}

std::optional<vq::failure> compare_weight(const vq::checkpoint& source, const vq::checkpoint& other,
                                          const verify_options& options, comparison& pair) {
  const stored_weight& x = *pair.source;
  if (pair.other == nullptr) {
    pair.fault = "is missing";
    return std::nullopt;
  }
  const stored_weight& y = *pair.other;
  if (x.shape != y.shape) {
    pair.fault = vq::sentence("has shape ", vq::spelled(y.shape), " where the source has ",
                              vq::spelled(x.shape));
    return std::nullopt;
  }
  using enum stored_weight::form;
  if (x.stored_as == plain && y.stored_as == plain && x.type == y.type) {
    const auto a = x.parts.front()->bytes, b = y.parts.front()->bytes;
    pair.identical = a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0;
    if (pair.identical) return std::nullopt;
    pair.fault = "differs, though it is stored in the same type";
    return vq::holds_floats(x.type) ? compare_values(source, other, options.block, pair)
                                    : std::nullopt;
  }
  if (!vq::holds_floats(x.type)) {
    pair.fault = vq::sentence("is stored as ", vq::name_of(y.type), " where the source has ",
                              vq::name_of(x.type));
    return std::nullopt;
  }
  if (auto wrong = compare_values(source, other, options.block, pair)) return wrong;
  const double sqnr = pair.errors.sqnr_db();
  if (!(sqnr >= options.min_sqnr)) {
    pair.fault = vq::sentence("has a signal-to-noise ratio of ", number_text(sqnr, 2),
                              " dB, below ", number_text(options.min_sqnr, 2));
  }
  return std::nullopt;
}

std::string share_text(double one_minus_cosine) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", one_minus_cosine);
  return text;
}

// JSON has no infinity.
nlohmann::ordered_json number_json(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

nlohmann::ordered_json json_of(const comparison& pair) {
  nlohmann::ordered_json one{{"name", pair.source->name},
                             {"component", vq::name_of(pair.source->part)},
                             {"agrees", pair.fault.empty()}};
  if (pair.other != nullptr) one["format"] = vq::spelled_format(*pair.other);
  if (!pair.fault.empty()) one["fault"] = pair.fault;
  one["identical"] = pair.identical;
  if (pair.errors.count() == 0) return one;
  one["sqnr_db"] = number_json(pair.errors.sqnr_db());
  one["cosine"] = number_json(pair.errors.cosine());
  one["max_abs_error"] = number_json(pair.errors.max_abs_error());
  one["relative_l2"] = number_json(pair.errors.relative_l2());
  one["worst_block"] = {{"first", pair.worst_block},
                        {"sqnr_db", number_json(pair.worst_block_sqnr)}};
  return one;
}

// The signal-to-noise ratio of what was quantized, by component.
std::string component_errors(const std::vector<comparison>& pairs, nlohmann::ordered_json& json) {
  table rows({"component", "identical", "compared", "SQNR dB", "1 - cosine", "largest error"});
  for (std::size_t c = 0; c < vq::component_names.size(); ++c) {
    index_type identical = 0, compared = 0;
    vq::error_statistics all;
    for (const comparison& pair : pairs) {
      if (pair.source->part != static_cast<vq::component>(c)) continue;
      identical += pair.identical;
      compared += pair.errors.count() > 0;
      all.merge(pair.errors);
    }
    if (identical + compared == 0) continue;
    nlohmann::ordered_json one{
        {"component", vq::component_names[c]}, {"identical", identical}, {"compared", compared}};
    std::vector<std::string> row{std::string(vq::component_names[c]), count_text(identical),
                                 count_text(compared)};
    if (compared > 0) {
      row.push_back(number_text(all.sqnr_db(), 2));
      row.push_back(share_text(1 - all.cosine()));
      row.push_back(share_text(all.max_abs_error()));
      one["sqnr_db"] = number_json(all.sqnr_db());
      one["cosine"] = number_json(all.cosine());
      one["max_abs_error"] = number_json(all.max_abs_error());
    }
    rows.add(std::move(row));
    json.push_back(std::move(one));
  }
  return rows.text();
}

}  // namespace

outcome verify(const verify_options& options, const context& c) {
  const auto source = vq::checkpoint::open(options.source);
  if (!source) return source.error();
  const auto other = vq::checkpoint::open(options.quantized);
  if (!other) return other.error();
  const auto expected = stored_model::read(*source);
  if (!expected) return expected.error();
  const auto stored = stored_model::read(*other);
  if (!stored) return stored.error();

  std::vector<comparison> pairs;
  index_type bytes = 0;
  for (const stored_weight& w : expected->weights()) {
    pairs.push_back({.source = &w, .other = stored->find(w.name)});
    bytes += static_cast<index_type>(w.bytes);
  }
  {
    demo::progress bar("verifying", c.progress ? bytes : 0);
    std::mutex mutex;
    std::optional<vq::failure> wrong;
    engine::parallel_for{options.jobs}(
        static_cast<index_type>(pairs.size()), [&](index_type i, index_type) {
          comparison& pair = pairs[static_cast<std::size_t>(i)];
          if (c.stopped()) return;
          auto error = compare_weight(*source, *other, options, pair);
          for (const auto* part : pair.source->parts) source->drop_pages(*part);
          if (pair.other != nullptr) {
            for (const auto* part : pair.other->parts) other->drop_pages(*part);
          }
          bar(static_cast<index_type>(pair.source->bytes));
          if (!error) return;
          const std::lock_guard lock(mutex);
          if (!wrong) wrong.emplace(*std::move(error));
        });
    if (wrong) return *std::move(wrong);
    if (c.stopped()) return vq::failure{vq::status::io_error, "stopped"};
  }

  report found;
  for (const auto* model : {&*source, &*other}) {
    found.warnings.insert(found.warnings.end(), model->warnings().begin(), model->warnings().end());
  }
  const vq::model_summary summary = vq::summarize(stored->plan());
  found.text = precision_table(summary) + "\n";
  found.json.update(precision_json(summary));
  found.json["errors"] = nlohmann::ordered_json::array();
  found.text += component_errors(pairs, found.json["errors"]);

  std::vector<const comparison*> compared;
  std::vector<std::string> faults;
  found.json["tensors"] = nlohmann::ordered_json::array();
  for (const comparison& pair : pairs) {
    if (pair.errors.count() > 0) compared.push_back(&pair);
    if (!pair.fault.empty()) {
      faults.push_back(vq::sentence("tensor ", vq::in_quotes(pair.source->name), ": ", pair.fault));
    }
    found.json["tensors"].push_back(json_of(pair));
  }
  for (const stored_weight& w : stored->weights()) {
    if (expected->find(w.name) == nullptr) {
      faults.push_back(vq::sentence("tensor ", vq::in_quotes(w.name), ": is not in the source"));
    }
  }
  const auto rows = std::min(compared.size(), static_cast<std::size_t>(options.worst));
  std::partial_sort(compared.begin(), compared.begin() + static_cast<std::ptrdiff_t>(rows),
                    compared.end(), [](const comparison* a, const comparison* b) {
                      return a->errors.sqnr_db() < b->errors.sqnr_db();
                    });
  if (rows > 0) {
    table worst({"worst tensors", "format", "SQNR dB", "1 - cosine", "largest error", "worst block",
                 "its dB"});
    for (std::size_t i = 0; i < rows; ++i) {
      const comparison& pair = *compared[i];
      worst.add({pair.source->name, vq::spelled_format(*pair.other),
                 number_text(pair.errors.sqnr_db(), 2), share_text(1 - pair.errors.cosine()),
                 share_text(pair.errors.max_abs_error()), std::to_string(pair.worst_block),
                 number_text(pair.worst_block_sqnr, 2)});
    }
    found.text += "\n" + worst.text();
  }
  found.json["faults"] = faults;
  found.code = faults.empty() ? done : differs;
  constexpr std::size_t shown = 20;
  for (std::size_t i = 0; i < std::min(faults.size(), shown); ++i) {
    found.warnings.push_back(vq::sentence(options.quantized, ": ", faults[i]));
  }
  if (faults.size() > shown) {
    found.warnings.push_back(vq::sentence("and ", faults.size() - shown, " more like these"));
  }
  found.text += faults.empty() ? "\nthe checkpoints agree\n"
                               : vq::sentence("\n", faults.size(), " tensors do not agree\n");
  return found;
}

command add_verify(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand("verify", "Compare a quantized checkpoint with its source");
  auto o = std::make_shared<verify_options>();
  o->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  sub.add_option("source", o->source, "The checkpoint as it was")->required();
  sub.add_option("quantized", o->quantized, "The checkpoint that was made of it")->required();
  sub.add_option("--min-sqnr", o->min_sqnr,
                 "Signal-to-noise ratio in dB that every quantized weight must reach")
      ->capture_default_str();
  sub.add_option("--block", o->block, "Size of the blocks of which the worst is shown")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  sub.add_option("--worst", o->worst, "Rows in the table of the worst tensors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub.add_option("--jobs,-j", o->jobs, "Threads")->check(CLI::Range(1, 1024));
  sub.footer("Exit code 3 where a weight is missing, an untouched one differs, or a quantized one "
             "is worse\n"
             "than --min-sqnr.\n"
             "Examples:\n"
             "  vq verify llava-1.5-7b-hf out --min-sqnr 18\n"
             "  vq verify llava-1.5-7b-hf out --json - -q | jq '.errors'");
  return {&sub, [o](const context& c) { return verify(*o, c); }};
}

}  // namespace tool
