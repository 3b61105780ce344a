// The table of benchmarks: measurements grouped into rows, their medians, ratios and limits.
#ifndef VQ_BENCHMARKS_TABLE_HPP
#define VQ_BENCHMARKS_TABLE_HPP

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace vqb {

// The parts of <kernel>/<case>/<who>[/threads:N].
struct row_name {
  std::string kernel, case_name;
  int threads = 1;

  auto operator<=>(const row_name&) const = default;
};
struct measurement_name {
  row_name row;
  std::string who;
};
// Empty where the name has another form. What Google Benchmark appends (real_time ...) is ignored.
std::optional<measurement_name> parse_name(const std::string& full);

// A row before it is measured.
struct planned_row {
  row_name name;
  std::vector<std::string> full_names, who;
};
// Rows of one kernel stay together, those with one thread first.
void add_to_plan(std::vector<planned_row>& plan, const measurement_name& name,
                 const std::string& full);

struct sample_set {
  std::string unit;
  std::vector<double> values;

  double median() const;
};

// One line: who -> the rates of its repetitions.
struct row {
  row_name name;
  std::map<std::string, sample_set> measured;

  std::optional<double> rate(const std::string& who) const;  // the median
  std::optional<double> ours() const { return rate("native"); }
  std::string unit() const;
  std::string best_peer() const;  // its name; empty without a peer
};

// Receives what Google Benchmark measures and keeps one rate per repetition.
class collector : public benchmark::BenchmarkReporter {
 public:
  explicit collector(row& into) : into_(&into) {}
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override;

 private:
  row* into_;
};

// Prints a heading, then lines as they are finished. Widths and columns come from the plan.
class printed_table {
 public:
  explicit printed_table(const std::vector<planned_row>& plan);
  void print(const row& line) const;

 private:
  int kernel_ = 6, case_ = 4, peer_ = 9;
  std::vector<std::string> extra_;  // columns that only some tables have
};

// {"rows": [{"kernel", "case", "threads", "isa", "ours", "unit", "peer", "peer_value", "ratio",
// "limit", "percent_of_limit", ...}]}: one object for the native kernel of each row, one for each of
// avx2 and dispatch where they were measured. Unknown is null.
std::string to_json(const std::vector<row>& rows);

}  // namespace vqb

#endif
