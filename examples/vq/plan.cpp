#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <vq/io/atomic_file.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/plan/component.hpp>
#include <vq/plan/format_plan.hpp>
#include <vq/plan/layer_times.hpp>
#include <vq/plan/sensitivity_file.hpp>
#include <vq/plan/weight_formats.hpp>

#include "table.hpp"

namespace tool {

namespace {

using vq::index_type;

// Only trials in these formats.
vq::sensitivity_table restricted(const vq::sensitivity_table& t,
                                 const std::vector<std::string>& formats) {
  vq::sensitivity_table kept{t.layers, {}, {}, t.complete};
  std::map<index_type, index_type> renumbered;
  for (std::size_t f = 0; f < t.formats.size(); ++f) {
    if (std::ranges::find(formats, t.formats[f]) == formats.end()) continue;
    renumbered[static_cast<index_type>(f)] = std::ssize(kept.formats);
    kept.formats.push_back(t.formats[f]);
  }
  for (vq::sensitivity_trial trial : t.trials) {
    const auto at = renumbered.find(trial.format);
    if (at == renumbered.end()) continue;
    trial.format = at->second;
    kept.trials.push_back(std::move(trial));
  }
  return kept;
}

// All other tensors as they are, those of the table with this many bits a weight.
std::int64_t bytes_for(const vq::sensitivity_table& t, const std::vector<vq::tensor_info>& tensors,
                       double bits) {
  double bytes = 0;
  for (const vq::tensor_info& info : tensors) {
    const bool named = std::ranges::any_of(t.layers, [&](const vq::sensitivity_layer& l) {
      return info.name == l.name + ".weight" && (l.part.empty() || l.part == "weights");
    });
    bytes += named ? static_cast<double>(info.size()) * bits / 8
                   : static_cast<double>(info.stored_bytes());
  }
  return static_cast<std::int64_t>(bytes);
}

// "vision=4" or "head=8"
vq::result<std::map<vq::component, int>, vq::failure> least_bits(
    const std::vector<std::string>& texts) {
  std::map<vq::component, int> least;
  for (const std::string& text : texts) {
    const std::string part = text.substr(0, text.find('='));
    const auto name = vq::component_from_name(part);
    const std::string bits = part.size() < text.size() ? text.substr(part.size() + 1) : "";
    if (!name || bits.size() != 1 || bits[0] < '2' || bits[0] > '8') {
      return wrong_request(vq::sentence("--least-bits ", vq::in_quotes(text),
                                        ": expected a component and 2 to 8 bits, like vision=4"));
    }
    least[*name] = bits[0] - '0';
  }
  return least;
}

}  // namespace

outcome plan(const plan_command_options& o, const context&) {
  const auto file = vq::read_sensitivity(o.table);
  if (!file) return file.error();
  auto table_used = file->table;
  report found;
  if (!table_used.complete) {
    found.warnings.push_back(o.table + ": the table is not complete; what it lacks is no choice");
  }
  for (const std::string& format : o.formats) {
    if (std::ranges::find(table_used.formats, format) == table_used.formats.end()) {
      return wrong_request(vq::sentence(o.table, ": has no format ", vq::in_quotes(format)));
    }
  }
  if (!o.formats.empty()) table_used = restricted(table_used, o.formats);
  const auto model = vq::checkpoint::open(o.model);
  if (!model) return model.error();
  std::vector<vq::tensor_info> tensors;
  for (const auto& t : model->tensors()) tensors.push_back(t);

  vq::plan_request request;
  request.tie = !o.untied;
  request.limits.bytes = o.bytes > 0 ? o.bytes : bytes_for(table_used, tensors, o.bits);
  if (!o.out.empty()) request.name = std::filesystem::path(o.out).stem().string();
  if (!o.pins.empty()) {
    auto pins = vq::read_recipe(o.pins);
    if (!pins) return pins.error();
    request.pins = *std::move(pins);
  }
  auto least = least_bits(o.least_bits);
  if (!least) return least.error();
  request.least_bits = *std::move(least);
  std::string unit;
  if (!o.times.empty()) {
    auto times = vq::read_layer_times(o.times);
    if (!times) return times.error();
    unit = times->unit;
    request.time = *std::move(times);
    if (o.time > 0) request.limits.time = o.time;
  }
  const auto formats = vq::formats_of<vq::weight_formats>();
  const auto made = vq::plan_formats(table_used, tensors, formats, request);
  if (!made) return made.error();

  const std::string measure = file->about.contains("proxy") ? "estimate" : "KL";
  table rows({"layer", "format", "bytes", measure + " * 1000"});
  found.json["layers"] = nlohmann::ordered_json::array();
  std::map<std::string, index_type> used;
  for (const vq::planned_layer& l : made->layers) {
    rows.add({l.module, l.format, count_text(static_cast<std::int64_t>(l.bytes)),
              number_text(1000 * l.cost, 4)});
    found.json["layers"].push_back(
        {{"module", l.module}, {"format", l.format}, {"bytes", l.bytes}, {"cost", l.cost}});
    ++used[l.format];
  }
  found.text = rows.text() + "\n";
  std::string counts;
  for (const auto& [format, layers] : used) {
    counts += vq::sentence(counts.empty() ? "" : ", ", layers, " ", format);
  }
  found.text += vq::sentence(
      counts, "\n", count_text(static_cast<std::int64_t>(made->bytes)), " of ",
      count_text(request.limits.bytes), " bytes, all tensors; sum of ", measure,
      " * 1000: ", number_text(1000 * made->cost, 4),
      made->optimal
          ? std::string(", proven to be the least\n")
          : vq::sentence("; no plan has less than ", number_text(1000 * made->bound, 4), "\n"));
  if (!o.times.empty()) {
    found.text +=
        vq::sentence("time of these layers: ", number_text(made->time, 4), " ", unit, "\n");
    found.json["time"] = made->time;
  }
  found.json.update(nlohmann::ordered_json{{"bytes", made->bytes},
                                           {"limit", request.limits.bytes},
                                           {"cost", made->cost},
                                           {"bound", made->bound},
                                           {"optimal", made->optimal}});
  if (!o.out.empty()) {
    const auto written = vq::write_file(o.out, vq::format_recipe(made->rules));
    if (!written) return written.error();
    found.text += o.out + ": a recipe, for vq quantize --recipe and vq eval --recipe\n";
    found.json["out"] = o.out;
  }
  return found;
}

command add_plan(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand(
      "plan", "The formats that hurt least under a limit of bytes, from a table of sensitivities");
  auto o = std::make_shared<plan_command_options>();
  sub.add_option("table", o->table, "What vq sensitivity has written")->required();
  sub.add_option("--model,-m", o->model, "The checkpoint: a folder or a .safetensors file")
      ->required();
  auto* bytes = sub.add_option("--bytes", o->bytes, "Limit of all tensors of the model")
                    ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 60));
  auto* bits = sub.add_option("--bits", o->bits,
                              "Limit of the weights in the table, scales included: mean bits")
                   ->check(CLI::Range(0.5, 32.0));
  bytes->excludes(bits);
  sub.add_option("--pin", o->pins, "A recipe: what it decides is not up for choice");
  sub.add_option("--formats", o->formats, "Formats of the table that may be chosen")
      ->delimiter(',');
  sub.add_option("--least-bits", o->least_bits, "Of a component: vision=4,head=8")->delimiter(',');
  auto* times = sub.add_option(
      "--times", o->times, "What layers take in each format: JSON, see vq/plan/layer_times.hpp");
  sub.add_option("--time", o->time, "Limit of the sum, in the unit of that file")->needs(times);
  sub.add_flag("--untied", o->untied, "q, k, v and gate, up need not agree");
  sub.add_option("--out,-o", o->out, "The plan: a recipe with a rule for each layer");
  sub.callback([bytes, bits] {
    if (bytes->count() + bits->count() == 0) {
      throw CLI::ValidationError("plan", "one of --bytes and --bits is needed");
    }
  });
  sub.footer("Examples:\n"
             "  vq plan vit.json --model examples/models/vit --bits 4.2 -o plan.json\n"
             "  vq plan vit.json --model examples/models/vit --bytes 1500000 --pin mine.json "
             "-o plan.json");
  return {&sub, [o](const context& c) { return plan(*o, c); }};
}

}  // namespace tool
