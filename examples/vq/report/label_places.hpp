// Where the names of points stand, so that no name covers another, a point or a line: beside its
// point, or a little away with a line that leads to it. The same points give the same places.
//
//   label_places places({46, 12, 628, 326});
//   places.keep_free({x - 5, y - 5, x + 5, y + 5});         // every point, before the first name
//   if (const auto p = places.find(x, y, name.size())) ...  // nothing: there is no room
//
// The width of words is an upper bound for usual fonts at the size of html.hpp: browsers decide on the
// font.
#ifndef TOOL_REPORT_LABEL_PLACES_HPP
#define TOOL_REPORT_LABEL_PLACES_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

namespace tool::report_page {

struct area {
  double left = 0, top = 0, right = 0, bottom = 0;

  bool holds(const area& a) const {
    return a.left >= left && a.right <= right && a.top >= top && a.bottom <= bottom;
  }
  bool meets(const area& a) const {
    return a.left < right && left < a.right && a.top < bottom && top < a.bottom;
  }
};

struct label_place {
  double x = 0, y = 0;  // of the words' baseline: where they begin, or end if `before`
  bool before = false;  // the words stand to the left of the point
  bool away = false;    // so far that a line should lead to them, ending at (line_x, line_y)
  double line_x = 0, line_y = 0;
};

class label_places {
 public:
  explicit label_places(area within) : within_(within) {}

  void keep_free(area a) { taken_.push_back(a); }

  // A line from one point to another, as small areas along it.
  void keep_free_line(double x0, double y0, double x1, double y1) {
    for (const area& a : along(x0, y0, x1, y1)) taken_.push_back(a);
  }

  // The nearest place for so many characters, which is taken then.
  std::optional<label_place> find(double x, double y, std::size_t characters) {
    struct candidate {
      double far, dx, dy;
      bool before;
    };
    std::vector<candidate> all;
    for (int row = -30; row <= 30; ++row) {
      for (int column = 0; column < 12; ++column) {
        const double dx = 8 + 14 * column, dy = 6 * row;
        const double far = 1.2 * std::abs(dy) + dx;
        all.push_back({far, dx, dy, false});
        all.push_back({far + 1, dx, dy, true});
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.far < b.far; });
    const double width = character * static_cast<double>(characters);
    for (const candidate& c : all) {
      const double begin = c.before ? x - c.dx - width : x + c.dx, middle = y + c.dy;
      const area words{begin, middle - 9, begin + width, middle + 9};
      label_place p{c.before ? x - c.dx : x + c.dx, middle + 4, c.before,
                    c.dx > 9 || std::abs(c.dy) > 13};
      p.line_x = c.before ? p.x + 2 : p.x - 2;
      p.line_y = middle;
      if (!within_.holds(words) || !is_free(words)) continue;
      std::vector<area> line;
      if (p.away) line = along(x, y, p.line_x, p.line_y);
      const auto crosses = [&](const area& a) {
        return std::any_of(names_.begin(), names_.end(), [&](const area& n) { return n.meets(a); });
      };
      if (std::any_of(line.begin(), line.end(), crosses)) continue;
      taken_.push_back(words);
      names_.push_back(words);
      taken_.insert(taken_.end(), line.begin(), line.end());
      return p;
    }
    return std::nullopt;
  }

 private:
  static constexpr double character = 7.5;  // 0.65 of 11.5 pixels

  static std::vector<area> along(double x0, double y0, double x1, double y1) {
    const int steps = 1 + static_cast<int>(std::hypot(x1 - x0, y1 - y0) / 4);
    std::vector<area> all;
    for (int i = 0; i <= steps; ++i) {
      const double x = x0 + (x1 - x0) * i / steps, y = y0 + (y1 - y0) * i / steps;
      all.push_back({x - 1, y - 1, x + 1, y + 1});
    }
    return all;
  }
  bool is_free(const area& a) const {
    return std::none_of(taken_.begin(), taken_.end(), [&](const area& t) { return t.meets(a); });
  }

  area within_;
  std::vector<area> taken_, names_;
};

}  // namespace tool::report_page

#endif
