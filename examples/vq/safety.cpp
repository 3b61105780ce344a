#include "safety.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <thread>

#include "engine/safety/model_safety.hpp"
#include "table.hpp"

namespace tool {

namespace {

const char* name_of(vq::overflow_check what) {
  constexpr const char* names[] = {"neighbours", "accumulator", "result", "bias", "shift"};
  return names[static_cast<int>(what)];
}

double most_used(std::span<const vq::safety_report> reports, vq::overflow_check what) {
  double most = 0;
  for (const vq::safety_report& r : reports) {
    for (const vq::overflow_bound& b : r.bounds) {
      if (b.what == what) most = std::max(most, b.use());
    }
  }
  return most;
}

std::string percent(double share) { return number_text(100 * share, 2) + " %"; }

}  // namespace

outcome safety(const safety_command_options& o, const context&) {
  const auto checked = engine::check_model_safety(o.model, o.data, o.images, o.jobs);
  if (!checked) return checked.error();
  report found;
  found.json["targets"] = nlohmann::ordered_json::array();
  table rows({"target", "layers", "safe", "neighbours use", "accumulator uses", "input bits",
              "weights up to"});
  std::string sentences, names;
  bool known = o.target.empty();
  for (std::size_t begin = 0; begin < checked->reports.size();
       begin += engine::at(checked->layers)) {
    const auto reports = std::span(checked->reports).subspan(begin, engine::at(checked->layers));
    const vq::integer_target target = reports[0].target;
    names += vq::sentence(names.empty() ? "" : ", ", target.name);
    if (!o.target.empty() && o.target != target.name) continue;
    known = true;
    const auto safe = std::ranges::count_if(reports, [](const auto& r) { return r.safe(); });
    int bits = 8, weight = 127;
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const vq::safety_report& r : reports) {
      bits = std::min(bits, r.safe_input_bits);
      weight = std::min(weight, static_cast<int>(r.safe_weight));
      if (!r.safe()) sentences += vq::describe(r) + "\n";
      nlohmann::ordered_json bounds;
      for (const vq::overflow_bound& b : r.bounds) {
        bounds[name_of(b.what)] = {
            {"output", b.output}, {"lowest", b.lowest}, {"highest", b.highest}, {"use", b.use()}};
      }
      layers.push_back({{"name", r.layer},
                        {"safe", r.safe()},
                        {"safe_input_bits", r.safe_input_bits},
                        {"safe_weight", r.safe_weight},
                        {"bounds", std::move(bounds)}});
    }
    const double neighbours = most_used(reports, vq::overflow_check::neighbours);
    rows.add({target.name, std::to_string(checked->layers), std::to_string(safe),
              target.neighbours > 1 ? percent(neighbours) : "",
              percent(std::max(most_used(reports, vq::overflow_check::accumulator),
                               most_used(reports, vq::overflow_check::result))),
              std::to_string(bits), std::to_string(weight)});
    found.json["targets"].push_back({{"name", target.name}, {"layers", std::move(layers)}});
  }
  if (!known) {
    return vq::failure{
        vq::status::bad_argument,
        vq::sentence("the target ", vq::in_quotes(o.target), " is unknown; known are ", names)};
  }
  found.text = rows.text();
  if (!o.target.empty()) {
    found.text += "\n" + (sentences.empty() ? "all layers are safe\n" : sentences);
  }
  return found;
}

command add_safety(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand(
      "safety", "Whether the integer layers of a CNN or ViT can overflow, on which targets");
  auto o = std::make_shared<safety_command_options>();
  o->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  sub.add_option("model", o->model, "Folder with config.json and model.safetensors")->required();
  sub.add_option("--data", o->data, "Calibration images; without it those in MODEL/../data");
  sub.add_option("--target", o->target, "One target, with a sentence for each layer at risk");
  sub.add_option("--images", o->images, "How many images calibrate")->check(CLI::Range(1, 100000));
  sub.add_option("--jobs,-j", o->jobs, "Threads")->check(CLI::Range(1, 1024));
  sub.footer("Examples:\n"
             "  vq safety examples/models/resnet20\n"
             "  vq safety examples/models/vit --target avx2");
  return {&sub, [o](const context& c) { return safety(*o, c); }};
}

}  // namespace tool
