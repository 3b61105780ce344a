// vit_demo: a trained vision transformer in floats and in 8, 6 and 4 bits.
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "demo/command_line.hpp"
#include "demo/report.hpp"
#include "demo/transformer/experiment.hpp"

namespace {

std::optional<vq::failure> run(demo::options o, const std::string& variants) {
  demo::complete(o);
  if (o.model.empty()) o.model = (demo::bundled_models() / "vit").string();
  const auto in = demo::load(o.model, o);
  if (!in) return in.error();
  if (in->model.arch != "vit") {
    return vq::failure{vq::status::bad_argument,
                       vq::sentence(o.model, ": this is no vision transformer")};
  }
  auto json = demo::output_file(o.json);
  if (!json) return json.error();

  const auto start = std::chrono::steady_clock::now();
  demo::report report;
  demo::print_header();
  const auto failed = demo::run_transformer_experiment(in->model, in->test, in->calibration,
                                                       {o.threads}, variants, report);
  if (failed) return failed;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%.0f seconds on %td threads\n", took.count(), o.threads);
  if (*json) {
    (*json)->write(report.json());
    const auto written = (*json)->commit();
    if (!written) return written.error();
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  demo::options o;
  std::string variants = "*";
  CLI::App app("A trained vision transformer in floats and in 8, 6 and 4 bits.");
  demo::add_options(app, o);
  app.add_option("--variants", variants, "Only rows whose name matches: 'w4a4-*'");
  CLI11_PARSE(app, argc, argv);
  if (const auto failed = run(o, variants)) {
    std::fprintf(stderr, "vit_demo: %s\n", vq::describe(*failed).c_str());
    return 1;
  }
  return 0;
}
