#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <vq/io/atomic_file.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/io/json_file.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/sensitivity_file.hpp>
#include <vq/plan/summary.hpp>
#include <vq/plan/weight_formats.hpp>

#include "demo/html.hpp"
#include "report/evaluation.hpp"
#include "report/grid_chart.hpp"
#include "report/memory_chart.hpp"
#include "report/sensitivity_chart.hpp"
#include "report/tradeoff_chart.hpp"
#include "table.hpp"

namespace tool {

namespace {

namespace page = report_page;
using demo::svg::escaped;
using page::index_type;
using page::json;

std::string figure(std::string_view heading, std::string_view caption, std::string_view drawing) {
  return vq::sentence("<figure>\n<h3>", escaped(heading), "</h3>\n<figcaption><p>", caption,
                      "</p></figcaption>\n", drawing, "</figure>\n");
}
std::string from_file(std::string_view path) {
  return vq::sentence("<span class=\"source\">Source: ", escaped(path), "</span>");
}

class page_writer {
 public:
  explicit page_writer(const report_options& options) : options_(options) {}

  vq::result<std::string, vq::failure> write() {
    using section = std::optional<vq::failure> (page_writer::*)();
    for (const section s :
         {&page_writer::tradeoffs, &page_writer::components, &page_writer::sensitivities,
          &page_writer::distributions, &page_writer::memory}) {
      if (auto failed = (this->*s)()) return *std::move(failed);
    }
    if (sections_ == 0) {
      return vq::failure{
          vq::status::bad_argument,
          "nothing to report: give --evaluation, --sensitivity, --memory, or --model "
          "with --recipe"};
    }
    std::string title = options_.title;
    if (title.empty() && !options_.model.empty()) {
      title = std::filesystem::absolute(options_.model).lexically_normal().filename().string();
    }
    if (title.empty()) title = "Quantization report";
    return demo::html::page(title, vq::sentence("<h1>", escaped(title), "</h1>\n", body_));
  }

 private:
  void begin(std::string_view heading, std::string_view text) {
    body_ += vq::sentence("<h2>", heading, "</h2>\n<p>", text, "</p>\n");
    ++sections_;
  }

  bool draws(const vq::sensitivity_table& t, index_type format) const {
    const auto& name = t.formats[static_cast<std::size_t>(format)];
    return options_.formats.empty() ||
           std::ranges::find(options_.formats, name) != options_.formats.end();
  }

  // One chart of all evaluations: they are comparable where the test data are the same.
  std::optional<vq::failure> tradeoffs() {
    if (options_.evaluations.empty()) return std::nullopt;
    std::vector<page::tradeoff_point> points;
    std::string sources;
    const std::string model =
        options_.model.empty() ? "" : std::filesystem::path(options_.model).filename().string();
    for (const std::string& path : options_.evaluations) {
      const auto document = vq::read_json(path);
      if (!document) return document.error();
      const auto found = page::read_points(*document, model);
      if (found.empty()) {
        return vq::failure{vq::status::bad_format,
                           vq::sentence(path, ": no row with bytes and an accuracy",
                                        model.empty() ? "" : " of " + model)};
      }
      points.insert(points.end(), found.begin(), found.end());
      sources += (sources.empty() ? "" : ", ") + path;
    }
    begin("Accuracy against bytes",
          "Each point is one way to store the weights. The line joins those that nothing beats on "
          "both: the Pareto front. Whiskers are one standard error of an accuracy measured once; "
          "rows measured on the same items differ by less than these suggest.");
    const page::tradeoff_drawing drawing = page::tradeoff_chart(points);
    std::string rest;
    for (const std::size_t i : drawing.unnamed) {
      rest += vq::sentence(rest.empty() ? "<p class=\"source\">Points without a name: " : "; ",
                           escaped(points[i].label), " (",
                           count_text(static_cast<std::int64_t>(points[i].bytes)), " bytes, ",
                           number_text(points[i].accuracy, 2), " %)");
    }
    body_ += figure("Accuracy in per cent", from_file(sources),
                    drawing.svg + (rest.empty() ? rest : rest + "</p>\n"));
    std::vector<std::size_t> front = page::pareto_front(points);
    body_ +=
        "<table><thead><tr><th>on the front</th><th>bytes</th><th>accuracy, %</th></tr></thead>"
        "<tbody>\n";
    for (const std::size_t i : front) {
      body_ += vq::sentence("<tr><td>", escaped(points[i].label), "</td><td>",
                            count_text(static_cast<std::int64_t>(points[i].bytes)), "</td><td>",
                            number_text(points[i].accuracy, 2), "</td></tr>\n");
    }
    body_ += "</tbody></table>\n";
    return std::nullopt;
  }

  std::optional<vq::failure> components() {
    if (options_.recipes.empty()) return std::nullopt;
    if (auto failed = open_model("--recipe")) return failed;
    begin("Which part has which precision",
          "Applied to the tensors of the checkpoint, rule by rule; what no rule hits stays.");
    static const auto formats = vq::formats_of<vq::weight_formats>();
    for (const std::string& name : options_.recipes) {
      auto recipe = vq::find_recipe(name);
      if (!recipe) return recipe.error();
      const auto assigned = vq::apply(*recipe, model_->tensors(), formats);
      if (!assigned) return assigned.error();
      const vq::model_summary summary = vq::summarize(*assigned);
      std::string rows;
      const auto row = [&](std::string_view what, const vq::format_share& s,
                           std::string_view text) {
        rows += vq::sentence("<tr><td>", what, "</td><td>", count_text(s.tensors), "</td><td>",
                             count_text(s.parameters), "</td><td>",
                             count_text(static_cast<std::int64_t>(s.bytes)), "</td><td>", text,
                             "</td></tr>\n");
      };
      for (const vq::component_summary& c : summary.components) {
        std::string precisions = c.note;
        for (const vq::format_share& f : c.formats) {
          precisions +=
              vq::sentence(precisions.empty() ? "" : ", ", f.format, " (", f.tensors, ")");
        }
        row(vq::name_of(c.part), c.all, escaped(precisions));
      }
      row("total", summary.total, "");
      body_ += figure(recipe->name, vq::sentence(escaped(recipe->about), " ", from_file(name)),
                      vq::sentence("<table><thead><tr><th>component</th><th>tensors</th><th>"
                                   "parameters</th><th>bytes</th><th>precision</th></tr></thead>"
                                   "<tbody>\n",
                                   rows, "</tbody></table>\n"));
    }
    return std::nullopt;
  }

  std::optional<vq::failure> sensitivities() {
    for (const std::string& path : options_.sensitivities) {
      auto file = vq::read_sensitivity(path);
      if (!file) return file.error();
      tables_.push_back(*std::move(file));
      const vq::sensitivity_file& f = tables_.back();
      if (&f == &tables_.front()) {
        begin("Which layers hurt",
              "One layer at a time in the format named, everything else untouched. Bars are the "
              "mean, whiskers two standard errors over subsets of the data. A rank such as #2-5 "
              "says that the data cannot tell this layer from others.");
      }
      std::string about;
      for (const auto& [key, value] : f.about) about += vq::sentence(key, ": ", value, ". ");
      const std::string common = page::common_beginning(f.table.layers);
      if (!common.empty()) about += vq::sentence("Names begin with ", common, " ");
      for (index_type k = 0; k < std::ssize(f.table.formats); ++k) {
        if (!draws(f.table, k)) continue;
        const std::string chart = page::sensitivity_chart(f.table, k);
        if (chart.empty()) continue;
        body_ += figure(f.table.formats[static_cast<std::size_t>(k)],
                        vq::sentence(escaped(about), from_file(path)), chart);
      }
    }
    return std::nullopt;
  }

  // Of the layers that hurt most, in the format in which they hurt most.
  std::optional<vq::failure> distributions() {
    if (tables_.empty() || options_.model.empty() || options_.layers == 0) return std::nullopt;
    if (auto failed = open_model("--layers")) return failed;
    const vq::sensitivity_table& table = tables_.front().table;
    index_type format = -1;
    double most = -1;
    for (index_type k = 0; k < std::ssize(table.formats); ++k) {
      const auto ranks = table.ranks(k);
      if (ranks.empty() || !draws(table, k)) continue;
      const double hurt = table.of(vq::procedure::alone, k, ranks.front().layer)->mean();
      if (hurt > most) most = hurt, format = k;
    }
    if (format < 0) return std::nullopt;
    begin("What the grids do to the weights",
          "The hill counts the values of a weight, each relative to the largest magnitude that it "
          "shares a scale with; its height is logarithmic. Lines and ticks are the levels of the "
          "format: all that a value can become. The decibels are the signal-to-noise ratio of the "
          "weight itself. The layers are those that hurt most.");
    const std::string compared = "nf4-block64-dq256";  // beside the format that hurts
    std::string panels;
    const auto ranks = table.ranks(format);
    int drawn = 0;
    for (const vq::rank_interval& r : ranks) {
      const vq::sensitivity_layer& layer = table.layers[static_cast<std::size_t>(r.layer)];
      if (drawn == options_.layers || (!layer.part.empty() && layer.part != "weights")) continue;
      const vq::checkpoint_tensor* tensor = model_->find(layer.name + ".weight");
      if (tensor == nullptr) continue;
      const auto values = model_->to_floats(tensor->name);
      if (!values) return values.error();
      ++drawn;
      std::vector<std::string> shown{table.formats[static_cast<std::size_t>(format)]};
      if (shown[0] != compared) shown.push_back(compared);
      for (const std::string& name : shown) {
        page::grid_view view;
        if (!page::view_grid(name, vq::as_matrix(tensor->shape), *values, view)) continue;
        panels += page::grid_chart(page::shown_name(layer, 0), name, view);
      }
    }
    body_ +=
        vq::sentence("<figure><figcaption><p>", from_file(options_.model),
                     "</p></figcaption>\n<div class=\"panels\">\n", panels, "</div></figure>\n");
    return std::nullopt;
  }

  std::optional<vq::failure> memory() {
    for (const std::string& path : options_.memories) {
      const auto document = vq::read_json(path);
      if (!document) return document.error();
      std::vector<page::memory_bar> bars;
      std::vector<std::string> names;  // of parts, in the order of their styles
      const auto add = [&](const json& option) {
        const json plan = option.is_object() ? option.value("memory", json()) : json();
        const json items = plan.is_object() ? plan.value("items", json()) : json();
        if (!items.is_array()) return;
        const json recipe = option.value("recipe", json("model"));
        page::memory_bar bar{recipe.is_string() ? recipe.get<std::string>() : "model", {}};
        for (const json& item : items) {
          if (!item.is_object() || !item.contains("what") || !item.contains("bytes")) continue;
          if (!item["what"].is_string() || !item["bytes"].is_number()) continue;
          const auto what = item["what"].get<std::string>();
          auto at = std::find(names.begin(), names.end(), what);
          if (at == names.end()) at = names.insert(at, what);
          const auto place = static_cast<std::size_t>(at - names.begin());
          if (bar.parts.size() <= place) bar.parts.resize(place + 1);
          bar.parts[place] = {what, item["bytes"].get<double>()};
        }
        bars.push_back(std::move(bar));
      };
      const json options = document->is_object() ? document->value("options", json()) : json();
      if (options.is_array()) {
        for (const json& option : options) add(option);
      } else {
        add(*document);
      }
      if (bars.empty()) {
        return vq::failure{vq::status::bad_format,
                           path + ": not the JSON of vq memory: no list of items"};
      }
      if (path == options_.memories.front()) {
        begin("What memory it takes",
              "Weights, caches and what exists only while a request runs, against the limit of the "
              "device (the line).");
      }
      const json budget = document->value("budget", json());
      std::string legend = "<p class=\"legend\">";
      for (std::size_t i = 0; i < names.size(); ++i) {
        legend += vq::sentence("<span><svg viewBox=\"0 0 10 10\"><rect width=\"10\" height=\"10\" "
                               "class=\"part",
                               i % 8, "\"/></svg> ", escaped(names[i]), "</span> ");
      }
      body_ += figure(budget.is_number() ? "limit " + size_text(budget.get<std::uint64_t>())
                                         : std::string("by part"),
                      from_file(path),
                      page::memory_chart(bars, budget.is_number() ? budget.get<double>() : 0) +
                          legend + "</p>\n");
    }
    return std::nullopt;
  }

  std::optional<vq::failure> open_model(std::string_view needed_by) {
    if (model_) return std::nullopt;
    if (options_.model.empty()) {
      return vq::failure{vq::status::bad_argument,
                         vq::sentence(needed_by, " needs --model, the checkpoint it is about")};
    }
    auto opened = vq::checkpoint::open(options_.model);
    if (!opened) return opened.error();
    model_.emplace(*std::move(opened));
    return std::nullopt;
  }

  const report_options& options_;
  std::optional<vq::checkpoint> model_;
  std::vector<vq::sensitivity_file> tables_;
  std::string body_;
  int sections_ = 0;
};

}  // namespace

outcome write_report(const report_options& options, const context&) {
  const auto text = page_writer(options).write();
  if (!text) return text.error();
  const auto written = vq::write_file(options.out, *text);
  if (!written) return written.error();
  report done;
  done.text = vq::sentence(options.out, ": ", *written, " bytes\n");
  done.json = {{"out", options.out}, {"bytes", *written}};
  return done;
}

command add_report(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand("report", "A page of HTML from what was measured");
  auto o = std::make_shared<report_options>();
  sub.add_option("--out,-o", o->out, "The page")->required();
  sub.add_option("--title", o->title, "Its title (the model's folder)");
  sub.add_option("--model", o->model, "A checkpoint: for precisions and distributions");
  sub.add_option("--recipe", o->recipes, "Recipes or plans: names or files");
  sub.add_option("--evaluation", o->evaluations, "JSON of the demos or of vq eval");
  sub.add_option("--sensitivity", o->sensitivities, "Tables of vq sensitivity");
  sub.add_option("--formats", o->formats, "Formats of the tables to draw; all without it")
      ->delimiter(',');
  sub.add_option("--memory", o->memories, "JSON of vq memory");
  sub.add_option("--layers", o->layers, "Layers whose distributions are drawn")
      ->check(CLI::Range(0, 100));
  sub.footer("Examples:\n"
             "  vq report --model vit --sensitivity vit.json --evaluation rows.json -o vit.html\n"
             "  vq memory llava-1.5-13b-hf --budget 16GB --json memory.json\n"
             "  vq report --memory memory.json --title 'LLaVA 13B on the board' -o board.html");
  return {&sub, [o](const context& c) { return write_report(*o, c); }};
}

}  // namespace tool
