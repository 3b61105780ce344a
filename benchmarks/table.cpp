#include "table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "support.hpp"

namespace vqb {

namespace {

constexpr std::array own = {"native", "avx2", "dispatch", "scalar"};
constexpr std::array units = {"GB/s", "GOP/s", "Gelem/s"};

bool is_own(const std::string& who) { return std::find(own.begin(), own.end(), who) != own.end(); }
bool is_peer(const std::string& who) { return !is_own(who) && !who.starts_with("limit"); }

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts{""};
  for (const char c : name) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Google Benchmark 1.8 renamed these members.
template <class Run>
std::string why_skipped(const Run& run) {
  if constexpr (requires { run.skip_message; }) {
    return run.skip_message;
  } else {
    return run.error_message;
  }
}

std::string number(std::optional<double> value, const char* format) {
  if (!value) return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, *value);
  return text;
}

std::optional<double> quotient(std::optional<double> a, std::optional<double> b) {
  if (!a || !b || *b == 0) return std::nullopt;
  return *a / *b;
}

std::optional<double> percent(std::optional<double> value, std::optional<double> limit) {
  auto ratio = quotient(value, limit);
  if (ratio) *ratio *= 100;
  return ratio;
}

}  // namespace

std::optional<measurement_name> parse_name(const std::string& full) {
  const auto parts = parts_of(full);
  if (parts.size() < 3) return std::nullopt;
  measurement_name name{{parts[0], parts[1]}, parts[2]};
  for (std::size_t i = 3; i < parts.size(); ++i) {
    const std::string key = parts[i].substr(0, parts[i].find(':'));
    if (key == "threads") {
      name.row.threads = std::max(1, std::atoi(parts[i].c_str() + key.size() + 1));
    } else if (key != "real_time" && key != "process_time" && key != "min_time" &&
               key != "min_warmup_time" && key != "iterations" && key != "repeats") {
      return std::nullopt;
    }
  }
  return name;
}

double sample_set::median() const {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

std::optional<double> row::rate(const std::string& who) const {
  const auto found = measured.find(who);
  if (found == measured.end()) return std::nullopt;
  return found->second.median();
}

std::string row::unit() const { return measured.empty() ? "" : measured.begin()->second.unit; }

std::string row::best_peer() const {
  std::string best;
  for (const auto& [who, samples] : measured) {
    if (is_peer(who) && (best.empty() || samples.median() > *rate(best))) best = who;
  }
  return best;
}

void collector::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    const std::string full = run.run_name.str();
    const auto name = parse_name(full);
    if (!name) continue;
    if (const std::string why = why_skipped(run); !why.empty()) {
      if (run.repetition_index <= 0) std::fprintf(stderr, "%s: %s\n", full.c_str(), why.c_str());
      continue;
    }
    for (const char* unit : units) {
      const auto counter = run.counters.find(unit);
      if (counter == run.counters.end()) continue;
      if (!into_->measured.empty() && into_->unit() != unit) {
        std::fprintf(stderr, "%s: left out, it counts %s and others of its row %s\n", full.c_str(),
                     unit, into_->unit().c_str());
        continue;
      }
      auto& samples = into_->measured[name->who];
      samples.unit = unit;
      samples.values.push_back(counter->second.value);
    }
  }
}

void add_to_plan(std::vector<planned_row>& plan, const measurement_name& name,
                 const std::string& full) {
  auto place = std::find_if(plan.begin(), plan.end(),
                            [&](const planned_row& row) { return row.name == name.row; });
  if (place == plan.end()) {
    // Behind the last row of this kernel that has no more threads.
    for (auto row = plan.begin(); row != plan.end(); ++row) {
      if (row->name.kernel == name.row.kernel && row->name.threads <= name.row.threads) {
        place = row + 1;
      }
    }
    place = plan.insert(place, {name.row, {}, {}});
  }
  place->full_names.push_back(full);
  place->who.push_back(name.who);
}

printed_table::printed_table(const std::vector<planned_row>& plan) {
  const auto widen = [](int& width, const std::string& text) {
    width = std::max(width, static_cast<int>(text.size()));
  };
  for (const auto& row : plan) {
    widen(kernel_, row.name.kernel);
    widen(case_, row.name.case_name);
    for (const auto& who : row.who) {
      if (is_peer(who)) widen(peer_, who);
      const bool extra = who == "limit_streaming" || (who != "native" && is_own(who));
      if (extra && std::find(extra_.begin(), extra_.end(), who) == extra_.end()) {
        extra_.push_back(who);
      }
    }
  }
  std::printf("%-*s  %-*s  thr  %-11s  %8s  %-7s  %-*s  %8s  %5s  %8s  %5s", kernel_, "kernel",
              case_, "case", "isa", "ours", "unit", peer_, "best peer", "peer", "ratio", "limit",
              "% lim");
  for (const auto& who : extra_) {
    std::printf("  %9s", who == "limit_streaming" ? "streaming"
                         : who == "scalar"        ? "x scalar"
                                                  : who.c_str());
  }
  std::printf("\n");
}

void printed_table::print(const row& line) const {
  const std::string peer = line.best_peer();
  const auto ours = line.ours(), limit = line.rate("limit");
  std::printf("%-*s  %-*s  %3d  %-11s  %8s  %-7s  %-*s  %8s  %5s  %8s  %5s", kernel_,
              line.name.kernel.c_str(), case_, line.name.case_name.c_str(), line.name.threads,
              ours ? native_isa() : "-", number(ours, "%.4g").c_str(), line.unit().c_str(), peer_,
              peer.empty() ? "-" : peer.c_str(), number(line.rate(peer), "%.4g").c_str(),
              number(quotient(ours, line.rate(peer)), "%.2f").c_str(),
              number(limit, "%.4g").c_str(), number(percent(ours, limit), "%.0f").c_str());
  for (const auto& who : extra_) {
    const auto value = line.rate(who);
    const auto shown = who == "scalar" ? quotient(ours, value) : value;
    std::printf("  %9s", number(shown, who == "scalar" ? "%.1f" : "%.4g").c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
}

std::string to_json(const std::vector<row>& rows) {
  using json = nlohmann::ordered_json;
  const auto or_null = [](std::optional<double> value) { return value ? json(*value) : json(); };
  json list = json::array();
  for (const row& line : rows) {
    const std::string peer = line.best_peer();
    const auto limit = line.rate("limit");
    json peers = json::object();
    for (const auto& [who, samples] : line.measured) {
      if (is_peer(who)) peers[who] = samples.median();
    }
    for (const char* who : own) {
      const auto ours = line.rate(who);
      if (!ours || who == std::string("scalar")) continue;
      list.push_back({{"kernel", line.name.kernel},
                      {"case", line.name.case_name},
                      {"threads", line.name.threads},
                      {"isa", who == std::string("native") ? native_isa() : who},
                      {"ours", *ours},
                      {"unit", line.unit()},
                      {"peer", peer.empty() ? json() : json(peer)},
                      {"peer_value", or_null(line.rate(peer))},
                      {"ratio", or_null(quotient(ours, line.rate(peer)))},
                      {"limit", or_null(limit)},
                      {"percent_of_limit", or_null(percent(ours, limit))},
                      {"limit_streaming", or_null(line.rate("limit_streaming"))},
                      {"scalar", or_null(line.rate("scalar"))},
                      {"peers", peers},
                      {"repetitions", line.measured.at(who).values.size()}});
    }
  }
  return json{{"rows", list}}.dump(1) + "\n";
}

}  // namespace vqb
