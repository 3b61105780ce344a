// vq_benchmarks: runs the rows one after another and prints the table.
//
//   vq_benchmarks [--json FILE] [options of Google Benchmark]
//
// The measurements of a row are repeated in random order, so that a change of clock or a neighbour
// hits ours, the peers and the limit alike; the table shows medians.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <vq/io.hpp>

#include "support.hpp"
#include "table.hpp"

namespace {

struct options {
  std::string json;               // a file; empty: none
  std::vector<std::string> rest;  // for Google Benchmark
  bool lists_only = false;
};

constexpr const char* usage =
    "vq_benchmarks [--json FILE] [options of Google Benchmark]\n"
    "  --json FILE   write the table as JSON too\n"
    "  --benchmark_filter=REGEX, --benchmark_repetitions=N, --benchmark_min_time=..., and so on\n";

std::optional<options> read_options(int count, char** texts) {
  options chosen;
  for (int i = 1; i < count; ++i) {
    const std::string text = texts[i];
    if (text == "--json" || text.starts_with("--json=")) {
      if (text != "--json") {
        chosen.json = text.substr(std::strlen("--json="));
      } else if (i + 1 < count) {
        chosen.json = texts[++i];
      }
      if (chosen.json.empty()) {
        std::fputs("vq_benchmarks: --json needs the name of a file\n", stderr);
        return std::nullopt;
      }
      continue;
    }
    if (!text.starts_with("--benchmark_") && !text.starts_with("--v=")) {
      std::fprintf(stderr, "vq_benchmarks: unknown option \"%s\"\n%s", text.c_str(), usage);
      return std::nullopt;
    }
    chosen.lists_only |= text.starts_with("--benchmark_list_tests");
    chosen.rest.push_back(text);
  }
  return chosen;
}

// Hands options to Google Benchmark; false where it does not know one.
bool configure(std::vector<std::string> texts) {
  texts.insert(texts.begin(), "vq_benchmarks");
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  int count = static_cast<int>(texts.size());
  benchmark::Initialize(&count, pointers.data());
  return !benchmark::ReportUnrecognizedArguments(count, pointers.data());
}

// What the filter of the user selects.
std::vector<std::string> selected_names() {
  class quiet : public benchmark::BenchmarkReporter {
   public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>&) override {}
  } reporter;
  std::stringstream out;
  reporter.SetOutputStream(&out);
  configure({"--benchmark_list_tests=true"});
  benchmark::RunSpecifiedBenchmarks(&reporter);
  configure({"--benchmark_list_tests=false"});
  std::vector<std::string> names;
  for (std::string line; std::getline(out, line);) names.push_back(line);
  return names;
}

std::string exactly(const std::vector<std::string>& names) {
  std::string pattern = "^(";
  for (const auto& name : names) {
    if (pattern.size() > 2) pattern += '|';
    for (const char c : name) {
      if (std::strchr(".^$|()[]{}*+?\\", c)) pattern += '\\';
      pattern += c;
    }
  }
  return pattern + ")$";
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

void print_heading() {
  std::printf("%s, %d usable CPU%s; compiled by %s for %s\n", cpu_name().c_str(),
              vqb::usable_cpus(), vqb::usable_cpus() == 1 ? "" : "s", VQB_COMPILER,
              vqb::native_isa());
  std::printf("caches of a core: L1 %zu KiB, L2 %zu KiB, L3 %zu MiB; elements of a working set:",
              vqb::cache_bytes(1) >> 10, vqb::cache_bytes(2) >> 10, vqb::cache_bytes(3) >> 20);
  for (const auto& set : vqb::working_sets()) {
    std::printf(" %s %zuK", set.name, set.elements >> 10);
  }
  std::printf(
      "\nmedians; a multiply-add is two operations; GB/s counts bytes read and written\n\n");
}

}  // namespace

int main(int count, char** texts) {
  for (int i = 1; i < count; ++i) {
    if (!std::strcmp(texts[i], "--help") || !std::strcmp(texts[i], "-h")) {
      std::fputs(usage, stdout);
      return 0;
    }
  }
  const auto chosen = read_options(count, texts);
  if (!chosen) return 2;
  auto settings = chosen->rest;
  settings.insert(settings.begin(),
                  {"--benchmark_repetitions=7", "--benchmark_enable_random_interleaving=true",
                   "--benchmark_min_time=" VQB_MIN_TIME});
  if (!configure(settings)) return 2;
  if (chosen->lists_only) return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
  if (!chosen->json.empty()) {  // told before the long run, not after it
    auto probe = vq::atomic_file::create(chosen->json);
    if (!probe) {
      std::fprintf(stderr, "vq_benchmarks: %s\n", probe.error().message.c_str());
      return 1;
    }
  }

  std::vector<vqb::planned_row> plan;
  bool too_many_threads = false;
  for (const auto& full : selected_names()) {
    const auto name = vqb::parse_name(full);
    if (!name) {
      std::fprintf(stderr, "%s: left out, the name is not <kernel>/<case>/<who>\n", full.c_str());
    } else if (name->row.threads > vqb::usable_cpus()) {
      too_many_threads = true;
    } else {
      vqb::add_to_plan(plan, *name, full);
    }
  }
  if (too_many_threads) {
    std::fputs("vq_benchmarks: rows with more threads than usable CPUs are left out\n", stderr);
  }
  if (plan.empty()) {
    std::fputs("vq_benchmarks: the filter selects nothing\n", stderr);
    return 1;
  }
  print_heading();
  const vqb::printed_table table(plan);
  std::vector<vqb::row> rows;
  for (const auto& planned : plan) {
    rows.push_back({planned.name, {}});
    vqb::collector into(rows.back());
    benchmark::RunSpecifiedBenchmarks(&into, exactly(planned.full_names));
    vqb::forget_prepared();
    table.print(rows.back());
  }

  if (!chosen->json.empty()) {
    const auto written = vq::write_file(chosen->json, vqb::to_json(rows));
    if (!written) {
      std::fprintf(stderr, "vq_benchmarks: %s\n", written.error().message.c_str());
      return 1;
    }
  }
  return 0;
}
