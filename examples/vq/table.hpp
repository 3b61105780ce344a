// Tables and numbers for a person.
//
//   table t({"component", "tensors", "bytes"});     // the first column is text, numbers follow
//   t.add({"vision", "391", size_text(607'014'912)});
//   t.text();
//
// A column is as wide as its widest cell; cells that begin with a digit, a sign or a point stand
// right, unless they are a sentence.
#ifndef TOOL_TABLE_HPP
#define TOOL_TABLE_HPP

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace tool {

// 4516000000 -> "4.516 GB"; powers of ten, as disks and bandwidths are counted.
inline std::string size_text(std::uint64_t bytes) {
  constexpr std::pair<double, const char*> units[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
  char text[32];
  for (const auto& [unit, name] : units) {
    if (static_cast<double>(bytes) >= unit) {
      std::snprintf(text, sizeof text, "%.3f %s", static_cast<double>(bytes) / unit, name);
      return text;
    }
  }
  return std::to_string(bytes) + " B";
}

// 7063427072 -> "7,063,427,072"
inline std::string count_text(std::int64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (count < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

inline std::string number_text(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

class table {
 public:
  explicit table(std::vector<std::string> heading) { add(std::move(heading)); }

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const {
    std::vector<std::size_t> width;
    for (const auto& row : rows_) {
      width.resize(std::max(width.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
    }
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string padding(width[i] - row[i].size(), ' ');
        line += (i == 0 ? "" : "  ") + (is_number(i, row[i]) ? padding + row[i] : row[i] + padding);
      }
      all += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    return all;
  }

 private:
  // Headings stand as the cells below them.
  bool is_number(std::size_t column, const std::string& cell) const {
    const auto numeric = [](const std::string& text) {
      return !text.empty() && std::count(text.begin(), text.end(), ' ') <= 1 &&
             (text == "inf" || text == "nan" || text.find_first_of("0123456789+-.") == 0);
    };
    if (&cell != &rows_[0][column]) return numeric(cell);
    return rows_.size() > 1 && column < rows_[1].size() && numeric(rows_[1][column]);
  }

  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tool

#endif
