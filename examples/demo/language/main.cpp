// language_demo: LLaVA's answers or CLIP's retrieval, with each part of the model in 16, 8, 6, 4 and
// 3 bits.
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "demo/command_line.hpp"
#include "demo/language/experiment.hpp"

namespace {

struct arguments : demo::options {
  std::string images, variants;
};

void add_options(CLI::App& app, arguments& a) {
  demo::add_shared_options(app, a);
  app.add_option("--data", a.data, "Mosaics with captions and questions (safetensors)");
  app.add_option("--images", a.images, "Images that the mosaics are made of (safetensors)");
  app.add_option("--variants", a.variants,
                 "Rows whose name matches: '*.vision', '*' for all; a choice of them otherwise");
}

using experiment = demo::experiment_result (*)(const demo::language_inputs&);

std::optional<vq::failure> run(const arguments& a, const char* model, experiment measure) {
  const auto folder = demo::bundled_models();
  const auto or_bundled = [&](const std::string& given, const char* name) {
    return given.empty() ? folder / name : std::filesystem::path(given);
  };
  auto set = engine::mosaic_set::open(or_bundled(a.data, "data/mosaic-test.safetensors"),
                                      or_bundled(a.images, "data/cifar10-test.safetensors"));
  if (!set) return set.error();
  auto json = demo::output_file(a.json);
  if (!json) return json.error();
  const auto start = std::chrono::steady_clock::now();
  const auto measured = measure({or_bundled(a.model, model),
                                 *std::move(set),
                                 {folder / "peer-accuracy.json", model},
                                 a.variants,
                                 {a.threads}});
  if (!measured) return measured.error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%.0f seconds on %td threads\n", took.count(), a.threads);
  return demo::write(*json, measured->dump(1) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Vision-language models in 16 bits and fewer, part by part.");
  arguments a;
  app.require_subcommand(1);
  CLI::App& llava = *app.add_subcommand("llava", "Exact match of LLaVA's answers to questions");
  CLI::App& clip = *app.add_subcommand("clip", "Recall of CLIP between images and captions");
  add_options(llava, a);
  add_options(clip, a);
  CLI11_PARSE(app, argc, argv);
  const auto failed = llava.parsed() ? run(a, "llava", &demo::run_llava_experiment)
                                     : run(a, "clip", &demo::run_clip_experiment);
  if (!failed) return 0;
  std::fprintf(stderr, "language_demo: %s\n", vq::describe(*failed).c_str());
  return 1;
}
