// vq: quantizes, inspects, verifies and plans checkpoints of vision-language models.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vq/io/atomic_file.hpp>
#include <vq/version.hpp>

#include "command.hpp"

namespace {

using tool::command;

constexpr command (*commands[])(CLI::App&) = {
    tool::add_inspect, tool::add_quantize, tool::add_dequantize, tool::add_verify,
    tool::add_memory,  tool::add_eval,     tool::add_report,     tool::add_sensitivity,
    tool::add_plan,    tool::add_safety,
};

std::atomic<bool> stop = false;

// The second Ctrl-C ends the program at once.
extern "C" void on_interrupt(int signal) {
  stop = true;
  std::signal(signal, SIG_DFL);
}

bool draws_progress() {
#if defined(__unix__) || defined(__APPLE__)
  return isatty(2) != 0;
#else
  return false;
#endif
}

struct shared_options {
  std::string json;
  bool quiet = false;
};

// Writes the report's JSON; returns what is wrong.
vq::result<bool, vq::failure> write_json(const std::string& name,
                                         const nlohmann::ordered_json& json) {
  if (name.empty()) return true;
  const std::string text =
      json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (name == "-") {
    std::fputs(text.c_str(), stdout);
    return std::fflush(stdout) == 0;
  }
  const auto written = vq::write_file(name, text);
  if (!written) return written.error();
  return true;
}

int run(const command& chosen, const shared_options& shared) {
  const std::string name = chosen.app->get_name();
  const tool::outcome found = chosen.run({draws_progress() && !shared.quiet, &stop});
  nlohmann::ordered_json json{{"command", name}};
  tool::exit_code code = tool::refused;
  if (found) {
    code = found->code;
    for (const std::string& warning : found->warnings) {
      std::fprintf(stderr, "vq: %s: warning: %s\n", name.c_str(), warning.c_str());
    }
    // Where the JSON goes to stdout, the tables make room.
    if (!shared.quiet) std::fputs(found->text.c_str(), shared.json == "-" ? stderr : stdout);
    json.update(found->json);
    if (!found->warnings.empty()) json["warnings"] = found->warnings;
  } else {
    const std::string message = vq::describe(found.error());
    if (stop) code = tool::interrupted;
    std::fprintf(stderr, "vq: %s: %s\n", name.c_str(), message.c_str());
    json["error"] = message;
  }
  json["exit_code"] = static_cast<int>(code);
  if (const auto written = write_json(shared.json, json); !written) {
    std::fprintf(stderr, "vq: %s: %s\n", name.c_str(), vq::describe(written.error()).c_str());
    return code == tool::done ? tool::refused : code;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  shared_options shared;
  CLI::App app("Quantizes checkpoints of vision-language models, without Python and without a GPU.",
               "vq");
  app.set_version_flag(
      "--version", vq::sentence("vq ", vq::library_version.major, ".", vq::library_version.minor,
                                ".", vq::library_version.patch));
  app.add_option("--json", shared.json, "Write the report as JSON to this file, or to stdout: -");
  app.add_flag("--quiet,-q", shared.quiet, "No tables and no progress; warnings and errors only");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 done; 1 refused: the data are at fault, one sentence says which; 2 "
             "wrong usage;\n"
             "3 verification failed, or nothing fits; 4 interrupted, finished shards are kept.\n"
             "Help of a command, with examples: vq COMMAND --help");

  std::vector<command> all;
  for (const auto add : commands) all.push_back(add(app));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tool::done : tool::wrong_usage;
  }
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
#if defined(SIGXFSZ)
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of write(), not a death
#endif
  try {
    for (const command& one : all) {
      if (one.app->parsed()) return run(one, shared);
    }
  } catch (const std::exception& error) {  // no memory, say
    std::fprintf(stderr, "vq: %s\n", error.what());
  }
  return tool::refused;
}
