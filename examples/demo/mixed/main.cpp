// Mixed precision against uniform precision of the same size: every layer in a format of its own,
// chosen by calibration data alone, and both judged on test data.
//
//   bash examples/run.sh mixed --models resnet20,llava --tables build/tables --json mixed.json
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vq/analyze/classification.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/plan/sensitivity_file.hpp>
#include <vq/plan/weight_formats.hpp>

#include "demo/progress.hpp"
#include "engine/sensitivity/mixed_precision.hpp"
#include "engine/sensitivity/opened_subject.hpp"

namespace {

using engine::at;
using engine::index_type;
using json = nlohmann::ordered_json;

struct settings {
  std::string folder = "examples/models", tables;
  std::vector<std::string> models{"resnet20", "mobilenetv2", "vit"};
  std::vector<int> bits{3, 4, 5};
  int items = 512, rounds = 0, threads = 1;
};

class comparison {
 public:
  explicit comparison(const settings& s)
      : settings_(s), formats_(vq::formats_of<vq::weight_formats>()) {
    run_.threads = s.threads;
  }

  std::optional<vq::failure> add(const std::string& name) {
    const auto folder = std::filesystem::path(settings_.folder) / name;
    auto calibration = engine::open_subject(
        folder, {.data = {}, .items = settings_.items, .threads = settings_.threads});
    if (!calibration) return calibration.error();
    auto table = sensitivities(*calibration);
    if (!table) return table.error();
    const auto test = engine::open_subject(folder, {.data = engine::test_data(folder),
                                                    .items = 1'000'000,
                                                    .restart = false,
                                                    .threads = settings_.threads});
    if (!test) return test.error();
    const auto floats = test->model->right_answers({});
    if (!floats) return floats.error();
    std::printf("\n%s: %zu layers, float %.2f %%\n", name.c_str(), table->layers.size(),
                100 * share(*floats));
    std::printf("%-12s %10s %10s %8s %8s %10s %10s %8s %8s %9s\n", "uniform", "bytes", "mixed",
                "top-1 %", "mixed", "only unif.", "only mixed", "p", "KL*1000", "mixed");
    for (const int bits : settings_.bits) {
      auto failed = compare(*calibration, *test, *table, *floats, bits);
      if (failed) return failed;
    }
    return std::nullopt;
  }

  const json& rows() const { return rows_; }

 private:
  static double share(const std::vector<std::uint8_t>& right) {
    return static_cast<double>(std::ranges::count(right, 1)) / static_cast<double>(right.size());
  }

  vq::result<vq::sensitivity_table, vq::failure> sensitivities(const engine::opened_subject& s) {
    const auto file = std::filesystem::path(settings_.tables) / (s.name + ".json");
    if (!settings_.tables.empty() && std::filesystem::exists(file)) {
      auto known = vq::read_sensitivity(file);
      if (!known) return known.error();
      if (known->table.layers == engine::layers_of(*s.model)) return std::move(known->table);
      return vq::failure{vq::status::bad_argument, file.string() + ": a table of another model"};
    }
    const auto formats = engine::usual_formats(false);
    demo::progress bar(s.name + ": sensitivities",
                       std::ssize(formats) * std::ssize(s.model->weights()));
    vq::sensitivity_options options;
    options.progress = [&](const vq::sensitivity_table&, index_type) { return bar(), true; };
    auto table = vq::analyze_sensitivity(engine::layers_of(*s.model), formats,
                                         engine::measure_of(*s.model, formats), options, run_);
    if (table && !settings_.tables.empty()) {
      const auto written = vq::write_file(file, vq::format_sensitivity({*table, s.about}));
      if (!written) return written.error();
    }
    return table;
  }

  std::optional<vq::failure> compare(engine::opened_subject& calibration,
                                     const engine::opened_subject& test,
                                     const vq::sensitivity_table& table,
                                     const std::vector<std::uint8_t>& floats, int bits) {
    const std::string format = "int" + std::to_string(bits) + "-channel";
    const auto uniform =
        engine::uniform_plan(*calibration.model, calibration.tensors, format, formats_);
    if (!uniform) return uniform.error();
    const std::int64_t bytes = engine::bytes_in_all(*uniform);
    const engine::subject::format_names same(table.layers.size(), format);
    const auto uniform_kl = calibration.model->divergence(same);
    if (!uniform_kl) return uniform_kl.error();
    const auto mixed = engine::plan_mixed(*calibration.model, table, calibration.tensors, formats_,
                                          {.bytes = bytes,
                                           .rounds = settings_.rounds,
                                           .name = calibration.name + "-" + std::to_string(bits),
                                           .run = run_});
    if (!mixed) return mixed.error();
    const auto a = test.model->right_answers(same), b = test.model->right_answers(mixed->formats);
    if (!a) return a.error();
    if (!b) return b.error();

    vq::paired_outcomes pair;
    for (std::size_t i = 0; i < a->size(); ++i) {
      const bool first = (*a)[i] != 0, second = (*b)[i] != 0;
      ++(first ? (second ? pair.both : pair.only_first)
               : (second ? pair.only_second : pair.neither));
    }
    std::printf("%-12s %10td %10td %8.2f %8.2f %10td %10td %8.2g %8.2f %9.2f\n", format.c_str(),
                bytes, static_cast<std::int64_t>(mixed->plan.bytes), 100 * share(*a),
                100 * share(*b), pair.only_first, pair.only_second, pair.p_value(),
                1000 * engine::mean_of(*uniform_kl), 1000 * mixed->divergence);
    std::printf("  candidates' KL*1000:");
    for (const double kl : mixed->tried) std::printf(" %.2f", 1000 * kl);
    std::printf("; kept round %d; %s\n", mixed->round, counted(mixed->formats).c_str());
    std::fflush(stdout);
    json plan = json::object();
    for (const vq::planned_layer& l : mixed->plan.layers) plan[l.module] = l.format;
    rows_.push_back({{"model", calibration.name},
                     {"uniform", format},
                     {"uniform_bytes", bytes},
                     {"mixed_bytes", mixed->plan.bytes},
                     {"float_bytes", bytes_of_floats(calibration.tensors)},
                     {"float_accuracy", share(floats)},
                     {"test_items", floats.size()},
                     {"uniform_accuracy", share(*a)},
                     {"mixed_accuracy", share(*b)},
                     {"only_uniform_right", pair.only_first},
                     {"only_mixed_right", pair.only_second},
                     {"mcnemar_p", pair.p_value()},
                     {"uniform_kl", engine::mean_of(*uniform_kl)},
                     {"mixed_kl", mixed->divergence},
                     {"candidates_kl", mixed->tried},
                     {"round", mixed->round},
                     {"plan", std::move(plan)}});
    if (settings_.tables.empty()) return std::nullopt;
    const auto file = std::filesystem::path(settings_.tables) / (mixed->plan.rules.name + ".json");
    const auto written = vq::write_file(file, vq::format_recipe(mixed->plan.rules));
    return written ? std::nullopt : std::optional(written.error());
  }

  static std::uint64_t bytes_of_floats(const std::vector<vq::tensor_info>& tensors) {
    std::uint64_t bytes = 0;
    for (const vq::tensor_info& t : tensors) bytes += t.stored_bytes();
    return bytes;
  }

  static std::string counted(const engine::subject::format_names& formats) {
    std::string text;
    for (const std::string& format : engine::usual_formats(false)) {
      const auto count = std::ranges::count(formats, format);
      if (count > 0) text += vq::sentence(text.empty() ? "" : ", ", count, " ", format);
    }
    return text;
  }

  settings settings_;
  std::vector<vq::weight_format> formats_;
  engine::parallel_for run_;
  json rows_ = json::array();
};

}  // namespace

int main(int argc, char** argv) {
  settings s;
  s.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::string json_file;
  CLI::App app("Mixed against uniform precision of the same size.");
  app.add_option("--folder", s.folder, "With a folder for each model, and data");
  app.add_option("--models", s.models, "Folders of models")->delimiter(',');
  app.add_option("--bits", s.bits, "Of the uniform plans")->delimiter(',');
  app.add_option("--images,--items", s.items, "Calibration images or questions");
  app.add_option("--rounds", s.rounds, "Of trials around the best plan");
  app.add_option("--tables", s.tables, "A folder for sensitivities (read if there) and plans");
  app.add_option("--json", json_file, "The rows as JSON");
  app.add_option("--jobs,-j", s.threads, "Threads")->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
  if (!s.tables.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(s.tables, ignored);
  }
  comparison all(s);
  for (const std::string& model : s.models) {
    if (const auto failed = all.add(model)) {
      std::fprintf(stderr, "mixed_demo: %s\n", vq::describe(*failed).c_str());
      return 1;
    }
  }
  if (json_file.empty()) return 0;
  const auto written = vq::write_file(json_file, json{{"rows", all.rows()}}.dump(1) + "\n");
  if (!written) std::fprintf(stderr, "mixed_demo: %s\n", vq::describe(written.error()).c_str());
  return written ? 0 : 1;
}
