// cnn_demo: trained CNNs in FP32 and INT8, side by side.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>

#include "demo/command_line.hpp"
#include "demo/experiment.hpp"

namespace {

std::optional<vq::failure> run(demo::options o) {
  demo::complete(o);
  std::vector<std::filesystem::path> folders{o.model};
  if (o.model.empty()) {
    folders = {demo::bundled_models() / "resnet20", demo::bundled_models() / "mobilenetv2"};
  }

  // Whatever is wrong with the files is said before anything is computed.
  std::vector<demo::inputs> all;
  for (const auto& folder : folders) {
    auto loaded = demo::load(folder, o);
    if (!loaded) return loaded.error();
    all.push_back(*std::move(loaded));
  }
  auto json = demo::output_file(o.json);
  if (!json) return json.error();

  return demo::tabulate(o, *json, [&](demo::report& table) -> std::optional<vq::failure> {
    for (const demo::inputs& in : all) {
      auto failed = demo::run_experiment(in.model, in.test, in.calibration, {o.threads}, table);
      if (failed) return failed;
      std::printf("\n");
    }
    return std::nullopt;
  });
}

}  // namespace

int main(int argc, char** argv) {
  demo::options o;
  CLI::App app("Trained CNNs in FP32 and INT8, side by side.");
  demo::add_options(app, o);
  CLI11_PARSE(app, argc, argv);
  if (const auto failed = run(o)) {
    std::fprintf(stderr, "cnn_demo: %s\n", vq::describe(*failed).c_str());
    return 1;
  }
  return 0;
}
