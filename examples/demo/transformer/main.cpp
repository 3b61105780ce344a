// vit_demo: a trained vision transformer in floats and in 8, 6 and 4 bits.
#include <cstdio>
#include <optional>
#include <string>

#include "demo/command_line.hpp"
#include "demo/transformer/distribution_page.hpp"
#include "demo/transformer/experiment.hpp"

namespace {

struct outputs {
  std::string variants = "*", page;
};

std::optional<vq::failure> run(demo::options o, const outputs& wanted) {
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
  auto page = demo::output_file(wanted.page);
  if (!page) return page.error();

  if (*page) {
    const auto found = demo::observe_distributions(in->model, in->calibration);
    if (!found) return found.error();
    if (auto failed = demo::write(*page, demo::distribution_page(*found))) return failed;
  }
  if (wanted.variants.empty()) return demo::write(*json, demo::report().json());

  return demo::tabulate(o, *json, [&](demo::report& table) {
    return demo::run_transformer_experiment(in->model, in->test, in->calibration, {o.threads},
                                            wanted.variants, table);
  });
}

}  // namespace

int main(int argc, char** argv) {
  demo::options o;
  outputs wanted;
  CLI::App app("A trained vision transformer in floats and in 8, 6 and 4 bits.");
  demo::add_options(app, o);
  app.add_option("--variants", wanted.variants,
                 "Only rows whose name matches: 'w4a4-*'; '' for none at all");
  app.add_option("--page", wanted.page,
                 "HTML file to draw distributions and the grids of each format to");
  CLI11_PARSE(app, argc, argv);
  if (const auto failed = run(o, wanted)) {
    std::fprintf(stderr, "vit_demo: %s\n", vq::describe(*failed).c_str());
    return 1;
  }
  return 0;
}
