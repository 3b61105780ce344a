#include "sensitivity.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include <vq/analyze/rank_correlation.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/plan/sensitivity_file.hpp>

#include "demo/progress.hpp"
#include "engine/parallel.hpp"
#include "engine/sensitivity/opened_subject.hpp"
#include "table.hpp"

namespace tool {

namespace {

using vq::index_type;

vq::result<std::vector<vq::procedure>, vq::failure> procedures_of(
    const std::vector<std::string>& names) {
  std::vector<vq::procedure> found;
  for (const std::string& name : names) {
    bool known = false;
    for (const auto p :
         {vq::procedure::alone, vq::procedure::all_but_one, vq::procedure::cumulative}) {
      if (name != vq::name_of(p)) continue;
      known = true;
      found.push_back(p);
    }
    if (!known) {
      return wrong_request(vq::sentence("the procedure ", vq::in_quotes(name),
                                        " is unknown; known are alone, all_but_one, cumulative"));
    }
  }
  return found;
}

// Nothing for no name.
vq::result<std::optional<engine::proxy>, vq::failure> proxy_of(const std::string& name) {
  if (name.empty()) return std::optional<engine::proxy>();
  for (std::size_t i = 0; i < engine::proxy_names.size(); ++i) {
    if (name == engine::proxy_names[i]) return std::optional(static_cast<engine::proxy>(i));
  }
  return wrong_request(
      vq::sentence("the proxy ", vq::in_quotes(name),
                   " is unknown; known are output-sqnr, output-fisher, fisher, second-order"));
}

// What an earlier run has left; refused where it measured something else.
vq::result<std::optional<vq::sensitivity_table>, vq::failure> earlier_table(
    const std::string& path, const vq::sensitivity_file& now) {
  if (!std::filesystem::exists(path)) return std::optional<vq::sensitivity_table>();
  auto file = vq::read_sensitivity(path);
  if (!file) return file.error();
  const auto& before = file->table;
  if (file->about != now.about || before.layers != now.table.layers ||
      before.formats != now.table.formats) {
    return wrong_request(vq::sentence(path,
                                      ": holds other measurements (model, data, layers or formats ",
                                      "differ); remove it or write elsewhere"));
  }
  return std::optional(std::move(file->table));
}

// Layers by name, alone, in the formats that both tables have.
std::string agreement(const vq::sensitivity_table& t, const vq::sensitivity_table& other,
                      std::string_view file) {
  table rows({"format", "layers", "rank correlation", "mean here", "mean there"});
  for (index_type f = 0; f < std::ssize(t.formats); ++f) {
    const auto g = std::ranges::find(other.formats, t.formats[engine::at(f)]);
    if (g == other.formats.end()) continue;
    std::vector<double> here, there;
    for (index_type l = 0; l < std::ssize(t.layers); ++l) {
      const auto m = std::ranges::find(other.layers, t.layers[engine::at(l)]);
      const auto* a = t.of(vq::procedure::alone, f, l);
      const auto* b =
          other.of(vq::procedure::alone, g - other.formats.begin(), m - other.layers.begin());
      if (a == nullptr || b == nullptr) continue;
      here.push_back(a->mean());
      there.push_back(b->mean());
    }
    const auto rho = vq::rank_correlation(here, there);
    const auto mean = [](const std::vector<double>& v) {
      const double sum = std::accumulate(v.begin(), v.end(), 0.0);
      return number_text(sum / static_cast<double>(std::max<std::size_t>(1, v.size())), 4);
    };
    rows.add({t.formats[engine::at(f)], std::to_string(here.size()),
              rho ? number_text(*rho, 3) : vq::describe(rho.error()), mean(here), mean(there)});
  }
  return vq::sentence("against ", file, ":\n", rows.text());
}

std::string ranking(const vq::sensitivity_table& t, const char* unit, int shown) {
  std::string text;
  for (index_type f = 0; f < std::ssize(t.formats) && shown > 0; ++f) {
    const auto ranks = t.ranks(f);
    if (ranks.empty()) continue;
    table rows({t.formats[engine::at(f)], unit, "error", "rank"});
    for (std::size_t i = 0; i < ranks.size() && i < engine::at(shown); ++i) {
      const auto* trial = t.of(vq::procedure::alone, f, ranks[i].layer);
      const auto& r = ranks[i];
      rows.add({t.layers[engine::at(r.layer)].name, number_text(1000 * trial->mean(), 4),
                number_text(1000 * trial->standard_error(), 4),
                std::to_string(r.first) + (r.stable() ? "" : vq::sentence(" to ", r.last))});
    }
    text += (text.empty() ? "" : "\n") + rows.text();
    if (ranks.size() > engine::at(shown)) {
      text += vq::sentence("and ", ranks.size() - engine::at(shown), " layers that hurt less\n");
    }
  }
  return text;
}

}  // namespace

outcome sensitivity(const sensitivity_command_options& o, const context& c) {
  const auto procedures = procedures_of(o.procedures);
  if (!procedures) return procedures.error();
  const auto estimate = proxy_of(o.proxy);
  if (!estimate) return estimate.error();
  std::optional<vq::sensitivity_file> other;
  if (!o.against.empty()) {
    auto read = vq::read_sensitivity(o.against);
    if (!read) return read.error();
    other = *std::move(read);
  }
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  const auto s = engine::open_subject(o.model, {.data = o.data,
                                                .inputs = o.inputs,
                                                .estimate = *estimate,
                                                .items = o.items,
                                                .subsets = o.subsets,
                                                .threads = o.jobs});
  if (!s) return s.error();
  const auto formats = o.formats.empty() ? engine::usual_formats(o.inputs) : o.formats;
  vq::sensitivity_file file{{engine::layers_of(*s->model), formats, {}, false}, s->about};
  const auto known = earlier_table(o.out, file);
  if (!known) return known.error();

  std::optional<vq::failure> unsaved;
  const auto save = [&](const vq::sensitivity_table& table) {
    file.table = table;
    const auto written = vq::write_file(o.out, vq::format_sensitivity(file));
    if (!written && !unsaved) unsaved = written.error();
  };

  auto saved = clock::now();
  std::optional<demo::progress> bar;
  vq::sensitivity_options options{
      .procedures = *procedures,
      .known = *known ? &**known : nullptr,
      .progress = [&](const vq::sensitivity_table& so_far, index_type in_all) {
        if (!bar) {
          bar.emplace("trials", c.progress ? in_all : 0);
          (*bar)(std::ssize(so_far.trials));
        } else {
          (*bar)();
        }
        if (clock::now() - saved > std::chrono::seconds(5)) {
          save(so_far);
          saved = clock::now();
        }
        return !c.stopped() && !unsaved;
      }};
  engine::parallel_for run;
  run.threads = o.jobs;
  const auto table = vq::analyze_sensitivity(file.table.layers, formats,
                                             engine::measure_of(*s->model, formats), options, run);
  bar.reset();
  if (!table) return table.error();
  save(*table);
  if (unsaved) return *std::move(unsaved);

  const std::chrono::duration<double> took = clock::now() - start;
  report found;
  found.text =
      ranking(*table, *estimate ? "estimate * 1000" : "KL * 1000", o.shown) +
      vq::sentence("\n", table->trials.size(), " trials in ", o.out,
                   table->complete ? "" : ", not all: run the command again to go on", "\n");
  if (other) found.text += "\n" + agreement(*table, other->table, o.against);
  found.json = {{"model", s->name},
                {"out", o.out},
                {"trials", table->trials.size()},
                {"complete", table->complete},
                {"seconds", took.count()}};
  if (!table->complete) found.code = interrupted;
  return found;
}

command add_sensitivity(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand(
      "sensitivity", "Which layers hurt, in which formats: KL of the outputs on calibration data");
  auto o = std::make_shared<sensitivity_command_options>();
  o->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  sub.add_option("model", o->model, "Folder with config.json and model.safetensors")->required();
  sub.add_option("--out,-o", o->out, "The table, JSON; a table that is there is continued")
      ->required();
  sub.add_option("--data", o->data, "Calibration data; without it those in MODEL/../data");
  sub.add_option("--formats", o->formats, "Formats to try, of weights or of inputs")
      ->delimiter(',');
  sub.add_option("--procedure", o->procedures, "alone, all_but_one, cumulative")->delimiter(',');
  sub.add_flag("--inputs", o->inputs,
               "Quantize what layers and products of attention read, not weights (CNNs and ViTs)");
  sub.add_option("--proxy", o->proxy,
                 "Estimate instead of measuring: output-sqnr, output-fisher, fisher, second-order");
  sub.add_option("--against", o->against, "Another table: say how alike the orders of layers are");
  sub.add_option("--images,--items", o->items, "How many images or questions")
      ->check(CLI::Range(1, 1'000'000));
  sub.add_option("--subsets", o->subsets, "Into which they are cut for standard errors")
      ->check(CLI::Range(1, 1000));
  sub.add_option("--show", o->shown, "Layers to print for each format")->check(CLI::Range(0, 9999));
  sub.add_option("--jobs,-j", o->jobs, "Threads")->check(CLI::Range(1, 1024));
  sub.footer(
      "Examples:\n"
      "  vq sensitivity examples/models/vit -o vit.json\n"
      "  vq sensitivity examples/models/vit --inputs -o vit-inputs.json\n"
      "  vq sensitivity examples/models/vit --proxy fisher --against vit.json -o fisher.json\n"
      "  vq sensitivity examples/models/resnet20 --formats int4-channel,int3-channel "
      "--procedure alone,cumulative -o r.json\n"
      "Then: vq plan vit.json --model examples/models/vit --bytes 1500000");
  return {&sub, [o](const context& c) { return sensitivity(*o, c); }};
}

}  // namespace tool
