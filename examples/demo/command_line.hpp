// What both demos read from the command line, and the files that it names.
#ifndef DEMO_COMMAND_LINE_HPP
#define DEMO_COMMAND_LINE_HPP

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <CLI/CLI.hpp>

#include <vq/io/atomic_file.hpp>

#include "demo/report.hpp"
#include "engine/image_set.hpp"
#include "engine/model.hpp"

namespace demo {

struct options {
  std::string model, data, calibration, json;
  engine::index_type threads = std::max(1u, std::thread::hardware_concurrency());
};

// What all demos have.
inline void add_shared_options(CLI::App& app, options& o) {
  app.add_option("--model", o.model, "Folder with config.json and model.safetensors");
  app.add_option("--json", o.json, "File to write the table to");
  app.add_option("--threads", o.threads, "Images are shared among so many threads")
      ->check(CLI::Range(1, 256));
}

// Those of image classifiers.
inline void add_options(CLI::App& app, options& o) {
  add_shared_options(app, o);
  app.add_option("--data", o.data, "Test images (safetensors: images, labels)");
  app.add_option("--calibration", o.calibration, "Calibration images, in the same layout");
}

// Where the bundled models lie: in the source tree, or below the current folder.
inline std::filesystem::path bundled_models() {
#if defined(VQ_SOURCE_DIR)
  const std::filesystem::path source = VQ_SOURCE_DIR "/examples/models";
  if (std::filesystem::exists(source)) return source;
#endif
  return std::filesystem::exists("examples/models") ? "examples/models" : "models";
}

// Names the bundled images where none are given.
inline void complete(options& o) {
  const auto or_bundled = [](std::string& given, const char* name) {
    if (given.empty()) given = (bundled_models() / "data" / name).string();
  };
  or_bundled(o.data, "cifar10-test.safetensors");
  or_bundled(o.calibration, "cifar10-calib.safetensors");
}

// Everything that one model's rows need.
struct inputs {
  engine::model model;
  engine::image_set test, calibration;
};

inline vq::result<inputs, vq::failure> load(const std::filesystem::path& folder, const options& o) {
  auto model = engine::load_model(folder);
  if (!model) return model.error();
  auto test = engine::image_set::open(o.data, *model);
  if (!test) return test.error();
  auto calibration = engine::image_set::open(o.calibration, *model);
  if (!calibration) return calibration.error();
  return inputs{*std::move(model), *std::move(test), *std::move(calibration)};
}

// A file that appears under its name when it is complete; none without a name.
inline vq::result<std::optional<vq::atomic_file>, vq::failure> output_file(
    const std::string& name) {
  if (name.empty()) return std::optional<vq::atomic_file>();
  auto file = vq::atomic_file::create(name);
  if (!file) return file.error();
  return std::optional<vq::atomic_file>(*std::move(file));
}

// Completes the file, if there is one.
inline std::optional<vq::failure> write(std::optional<vq::atomic_file>& file,
                                        std::string_view content) {
  if (!file) return std::nullopt;
  file->write(content);
  const auto written = file->commit();
  if (!written) return written.error();
  return std::nullopt;
}

// Prints the rows that measure(report) adds, and how long they took; then the table as JSON, where a
// file is given.
template <class Measure>
std::optional<vq::failure> tabulate(const options& o, std::optional<vq::atomic_file>& json,
                                    Measure measure) {
  const auto start = std::chrono::steady_clock::now();
  report table;
  print_header();
  if (auto failed = measure(table)) return failed;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%.0f seconds on %td threads\n", took.count(), o.threads);
  return write(json, table.json());
}

}  // namespace demo

#endif
