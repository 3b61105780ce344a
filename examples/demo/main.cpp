// cnn_demo: trained CNNs in FP32 and INT8, side by side.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include <vq/io/atomic_file.hpp>

#include "demo/experiment.hpp"
#include "demo/report.hpp"

namespace {

struct options {
  std::string model, data, calibration, json;
  engine::index_type threads = std::max(1u, std::thread::hardware_concurrency());
};

// Where the bundled models lie: in the source tree, or below the current folder.
std::filesystem::path bundled_models() {
#if defined(VQ_SOURCE_DIR)
  const std::filesystem::path source = VQ_SOURCE_DIR "/examples/models";
  if (std::filesystem::exists(source)) return source;
#endif
  return std::filesystem::exists("examples/models") ? "examples/models" : "models";
}

// Everything that one model's rows need.
struct inputs {
  engine::model model;
  engine::image_set test, calibration;
};

vq::result<inputs, vq::failure> load(const std::filesystem::path& folder, const options& o) {
  auto model = engine::load_model(folder);
  if (!model) return model.error();
  auto test = engine::image_set::open(o.data, *model);
  if (!test) return test.error();
  auto calibration = engine::image_set::open(o.calibration, *model);
  if (!calibration) return calibration.error();
  return inputs{*std::move(model), *std::move(test), *std::move(calibration)};
}

std::optional<vq::failure> run(options o) {
  const std::filesystem::path bundled = bundled_models();
  const auto or_bundled = [&](std::string& given, const char* name) {
    if (given.empty()) given = (bundled / "data" / name).string();
  };
  or_bundled(o.data, "cifar10-test.safetensors");
  or_bundled(o.calibration, "cifar10-calib.safetensors");
  std::vector<std::filesystem::path> folders{o.model};
  if (o.model.empty()) folders = {bundled / "resnet20", bundled / "mobilenetv2"};

  // Whatever is wrong with the files is said before anything is computed.
  std::vector<inputs> all;
  for (const auto& folder : folders) {
    auto loaded = load(folder, o);
    if (!loaded) return loaded.error();
    all.push_back(*std::move(loaded));
  }
  std::optional<vq::atomic_file> json;
  if (!o.json.empty()) {
    auto file = vq::atomic_file::create(o.json);
    if (!file) return file.error();
    json.emplace(*std::move(file));
  }

  const auto start = std::chrono::steady_clock::now();
  demo::report report;
  demo::print_header();
  for (const inputs& in : all) {
    auto failed = demo::run_experiment(in.model, in.test, in.calibration, {o.threads}, report);
    if (failed) return failed;
    std::printf("\n");
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%.0f seconds on %td threads\n", took.count(), o.threads);
  if (json) {
    json->write(report.json());
    const auto written = json->commit();
    if (!written) return written.error();
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  options o;
  CLI::App app("Trained CNNs in FP32 and INT8, side by side.");
  app.add_option("--model", o.model, "Folder with config.json and model.safetensors");
  app.add_option("--data", o.data, "Test images (safetensors: images, labels)");
  app.add_option("--calibration", o.calibration, "Calibration images, in the same layout");
  app.add_option("--json", o.json, "File to write the table to");
  app.add_option("--threads", o.threads, "Images are shared among so many threads")
      ->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);
  if (const auto failed = run(o)) {
    std::fprintf(stderr, "cnn_demo: %s\n", vq::describe(*failed).c_str());
    return 1;
  }
  return 0;
}
