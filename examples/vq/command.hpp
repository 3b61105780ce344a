// What the commands of `vq` share: how a command is added, what it is told, and what it returns.
//
// A command is a file NAME.cpp with one function, listed below and in main.cpp:
//
//   command add_inspect(CLI::App& app) {
//     auto& sub = *app.add_subcommand("inspect", "Components, shapes and ranges of a checkpoint");
//     auto options = std::make_shared<inspect_options>();
//     sub.add_option("path", options->path, "...")->required();
//     return {&sub, [options](const context& c) { return inspect(*options, c); }};
//   }
//
// and one header NAME.hpp with its logic: options in, report or failure out. Nothing but main.cpp
// prints results, and nothing calls exit().
#ifndef TOOL_COMMAND_HPP
#define TOOL_COMMAND_HPP

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

namespace tool {

// What `vq` returns to the shell.
enum exit_code : int {
  done = 0,
  refused = 1,      // the data's fault: a file, a recipe, the disk
  wrong_usage = 2,  // of the command line
  differs = 3,  // `vq verify`: the checkpoints do not agree; `vq memory`: nothing fits the budget
  interrupted = 4,  // by Ctrl-C; what is finished is kept
};

// What every command is told.
struct context {
  bool progress = false;                    // bars may be drawn on stderr
  const std::atomic<bool>* stop = nullptr;  // set by Ctrl-C

  bool stopped() const noexcept { return stop != nullptr && stop->load(); }
};

// What a command found: the same facts for a person and for a program.
struct report {
  std::string text;                   // tables and sentences, to stdout
  nlohmann::ordered_json json;        // with --json
  std::vector<std::string> warnings;  // to stderr, one line each, and into the JSON
  exit_code code = done;
};

using outcome = vq::result<report, vq::failure>;

// What was asked for cannot be.
inline vq::failure wrong_request(std::string text) {
  return {vq::status::bad_argument, std::move(text)};
}

struct command {
  CLI::App* app = nullptr;
  std::function<outcome(const context&)> run;
};

command add_inspect(CLI::App& app);
command add_quantize(CLI::App& app);
command add_dequantize(CLI::App& app);
command add_verify(CLI::App& app);
command add_memory(CLI::App& app);
command add_eval(CLI::App& app);
command add_report(CLI::App& app);
command add_sensitivity(CLI::App& app);
command add_plan(CLI::App& app);
command add_safety(CLI::App& app);

}  // namespace tool

#endif
