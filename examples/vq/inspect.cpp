#include "inspect.hpp"

#include <memory>
#include <thread>
#include <vector>

#include <vq/io/checkpoint.hpp>

#include "demo/progress.hpp"
#include "engine/parallel.hpp"
#include "precision_table.hpp"
#include "stored_model.hpp"
#include "table.hpp"
#include "tensor_statistics.hpp"

namespace tool {

namespace {

std::string shape_text(const std::vector<index_type>& shape) {
  std::string text;
  for (const index_type extent : shape) text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

nlohmann::ordered_json json_of(const tensor_statistics& s) {
  return {{"absmax", s.absmax},
          {"mean", s.mean},
          {"deviation", s.deviation},
          {"excess_kurtosis", s.excess_kurtosis},
          {"beyond_6_sigma", s.beyond_6_sigma},
          {"rows", s.rows},
          {"zero_rows", s.zero_rows},
          {"row_max_to_median", s.row_max_to_median},
          {"row_max_to_min", s.row_max_to_min},
          {"not_finite", s.not_finite}};
}

}  // namespace

outcome inspect(const inspect_options& options, const context& c) {
  const auto model = vq::checkpoint::open(options.path);
  if (!model) return model.error();
  const auto stored = stored_model::read(*model);
  if (!stored) return stored.error();
  const auto weights = stored->weights();

  report found;
  found.warnings.assign(model->warnings().begin(), model->warnings().end());
  const vq::model_summary summary = vq::summarize(stored->plan());
  found.text = precision_table(summary);
  found.json["files"] = model->shard_names();
  found.json.update(precision_json(summary));

  const auto has_statistics = [&](const stored_weight& w) {
    return options.tensors && !w.quantized() && vq::holds_floats(w.type);
  };
  std::vector<tensor_statistics> statistics(weights.size());
  if (options.tensors) {
    demo::progress bar("inspecting", c.progress ? static_cast<index_type>(weights.size()) : 0);
    engine::parallel_for{options.jobs}(
        static_cast<index_type>(weights.size()), [&](index_type i, index_type) {
          const auto at = static_cast<std::size_t>(i);
          if (has_statistics(weights[at]) && !c.stopped()) {
            statistics[at] = statistics_of(*weights[at].parts.front());
            model->drop_pages(*weights[at].parts.front());
          }
          bar();
        });
    if (c.stopped()) return vq::failure{vq::status::io_error, "stopped"};
  }

  found.json["tensors"] = nlohmann::ordered_json::array();
  table rows({"tensor", "component", "format", "shape", "bytes", "absmax", "max/median", "max/min",
              "kurtosis", "> 6 sigma", "not finite"});
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const stored_weight& w = weights[i];
    const tensor_statistics& s = statistics[i];
    nlohmann::ordered_json one{{"name", w.name},
                               {"component", vq::name_of(w.part)},
                               {"format", vq::spelled_format(w)},
                               {"shape", w.shape},
                               {"bytes", w.bytes}};
    std::vector<std::string> row{w.name, std::string(vq::name_of(w.part)), vq::spelled_format(w),
                                 shape_text(w.shape), count_text(static_cast<index_type>(w.bytes))};
    if (has_statistics(w)) {
      one["statistics"] = json_of(s);
      for (const std::string& text :
           {number_text(double{s.absmax}, 4), number_text(s.row_max_to_median, 2),
            number_text(s.row_max_to_min, 1), number_text(s.excess_kurtosis, 1),
            number_text(1e6 * s.beyond_6_sigma, 1) + " ppm", count_text(s.not_finite)}) {
        row.push_back(text);
      }
      if (s.not_finite > 0) {
        found.warnings.push_back(vq::sentence(options.path, ": tensor ", vq::in_quotes(w.name),
                                              ": ", s.not_finite, " values are not finite"));
      }
    }
    rows.add(std::move(row));
    found.json["tensors"].push_back(std::move(one));
  }
  if (options.tensors) found.text += "\n" + rows.text();
  return found;
}

command add_inspect(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand("inspect", "What a checkpoint holds, without loading it");
  auto o = std::make_shared<inspect_options>();
  o->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  sub.add_option("path", o->path, "A .safetensors file, or the folder of a checkpoint")->required();
  sub.add_flag("--tensors,-t", o->tensors,
               "A row per tensor: ranges of its rows, outliers, values that are not finite");
  sub.add_option("--jobs,-j", o->jobs, "Threads")->check(CLI::Range(1, 1024));
  sub.footer("Examples:\n"
             "  vq inspect llava-1.5-7b-hf                     components, from the headers alone\n"
             "  vq inspect llava-1.5-7b-hf --tensors           and statistics of every tensor\n"
             "  vq inspect model.safetensors -t --json - -q    as JSON");
  return {&sub, [o](const context& c) { return inspect(*o, c); }};
}

}  // namespace tool
