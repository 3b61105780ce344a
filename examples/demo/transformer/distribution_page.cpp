#include "demo/transformer/distribution_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>

#include <vq/io/failure.hpp>

#include "demo/html.hpp"
#include "demo/svg.hpp"

namespace demo {

namespace {

using engine::at;
using engine::index_type;

constexpr const char* legend = R"(<p><b>How to read this.</b> Each picture shows the output of one
layer of the float network. The blue hill says how many values lie where; its height is logarithmic,
so that rare values show. Below it, every row is a number format of 4 bits fitted to these values, and
every tick one of its levels, at most 16: all that a value can become. Levels should stand dense where
rounding hurts: where values are many, or so large that they carry the result. The decibels (dB) are
the expected signal-to-noise ratio, the energy of the values over that of their rounding errors; 6 dB
more are errors half as large. The format with the highest is chosen: in bold, with its levels drawn
over the hill as well. Where a second picture has a logarithmic axis, 0 stands apart at its left; after layer
norm it shows the range of every channel, and that one grid for all cuts off the widest.</p>
)";

// The frame of all drawings, in their units.
constexpr double width = 420, left = 40, right = 412;
constexpr double top = 26, base = 150;  // of the hill
constexpr double row_height = 34;

struct span_of_values {
  double from, to;
};

// Neighbouring bins together, so that there are about 100 bars between the ends.
std::vector<svg::bar> bars_of(const vq::histogram& h, span_of_values shown) {
  const double visible = std::min((shown.to - shown.from) / h.width, static_cast<double>(h.size()));
  const index_type together = std::max<index_type>(1, static_cast<index_type>(visible / 100));
  std::vector<svg::bar> bars;
  for (index_type bin = 0; bin < h.size(); bin += together) {
    const index_type end = std::min(bin + together, h.size());
    svg::bar b{h.edge(bin), h.edge(end), 0};
    if (b.to <= shown.from || b.from >= shown.to) continue;
    for (index_type i = bin; i < end; ++i) b.height += h.counts[at(i)];
    bars.push_back(b);
  }
  return bars;
}

double highest_of(std::span<const svg::bar> bars) {
  double highest = 1;
  for (const svg::bar& b : bars) highest = std::max(highest, b.height);
  return highest;
}

// Everything that was seen and all levels.
span_of_values everything(const distribution& d) {
  span_of_values s{double{d.values.seen.lowest}, double{d.values.seen.highest}};
  for (const fitted_grid& g : d.grids) {
    s.from = std::min(s.from, double{g.levels.front()});
    s.to = std::max(s.to, double{g.levels.back()});
  }
  if (!(s.from < s.to)) s.to = s.from + 1;  // a constant
  return s;
}

std::string decibels(double sqnr) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f dB", sqnr);
  return text;
}

// A row of ticks for each format, from `y` on.
void rows_of_ticks(svg::drawing& out, const distribution& d, const svg::axis& x, double y) {
  for (const fitted_grid& g : d.grids) {
    out.words(left, y + 10, g.name, g.chosen ? "best" : "title");
    out.words(right, y + 10, (g.chosen ? "chosen: " : "") + decibels(g.sqnr_db),
              g.chosen ? "best right" : "right");
    const char* style = g.chosen ? "chosen" : "ticks";
    out.ticks(x, g.levels, y + 15, y + 27, style);
    if (!x.can_hold_zero() && std::count(g.levels.begin(), g.levels.end(), 0.f) > 0) {
      out.path("M" + svg::place(left / 2) + " " + svg::place(y + 15) + "v12", style);
    }
    y += row_height;
  }
}

double height_of(const distribution& d) {
  return base + 36 + row_height * static_cast<double>(d.grids.size());
}

// The hill of these bars with the chosen levels over it, and all levels below it. Where the axis is
// logarithmic, 0 has a place of its own at the left.
std::string panel(const distribution& d, const std::string& title, const svg::axis& x,
                  std::span<const svg::bar> bars) {
  const auto y = svg::axis::logarithmic(0.5, 1.5 * highest_of(bars), base, top);
  svg::drawing out(width, height_of(d), d.node + ": " + title);
  out.words(left, 14, title, "title");
  out.axis_at_left(y, left, right);
  out.bars(x, y, bars);
  for (const fitted_grid& g : d.grids) {
    if (g.chosen) out.ticks(x, g.levels, top, base, "over");
  }
  out.axis_below(x, base);
  if (!x.can_hold_zero()) out.words(left / 2, base + 15, "0", "below");
  rows_of_ticks(out, d, x, base + 28);
  return out.str();
}

std::string linear_panel(const distribution& d, const std::string& title, span_of_values shown) {
  return panel(d, title, svg::axis::linear(shown.from, shown.to, left, right),
               bars_of(d.values, shown));
}

std::string logarithmic_panel(const distribution& d) {
  const double from = std::max(std::exp2(double{d.logarithms.seen.lowest}), 1e-7);
  const double to = std::max(everything(d).to, 2 * from);
  auto bars = bars_of(d.logarithms, {std::log2(from), std::log2(to)});
  for (svg::bar& b : bars) b = {std::exp2(b.from), std::exp2(b.to), b.height};
  return panel(d, "the same over a logarithmic axis", svg::axis::logarithmic(from, to, left, right),
               bars);
}

// From the smallest to the largest value of every channel, and the levels that all of them share.
std::string channel_panel(const distribution& d) {
  const span_of_values all = everything(d);
  const double bottom = height_of(d) - 22;
  const auto x = svg::axis::linear(0, static_cast<double>(d.channels.size()), left, right);
  const auto y = svg::axis::linear(all.from, all.to, bottom, top);
  const std::string title =
      vq::sentence("smallest to largest value, each of ", d.channels.size(), " channels");
  svg::drawing out(width, height_of(d), d.node + ": " + title);
  out.words(left, 14, title, "title");
  out.axis_at_left(y, left, right);
  std::vector<svg::box> boxes;
  for (const vq::range& r : d.channels) {
    const auto channel = static_cast<double>(boxes.size());
    boxes.push_back({channel + 0.1, channel + 0.9, double{r.lowest}, double{r.highest}});
  }
  out.boxes(x, y, boxes);
  for (const fitted_grid& g : d.grids) {
    if (g.chosen) out.levels(y, g.levels, left, right, "over");
  }
  out.axis_below(x, bottom);
  return out.str();
}

std::string title_of(layer_part part) {
  switch (part) {
    case layer_part::softmax:
      return "After softmax: attention probabilities";
    case layer_part::gelu:
      return "After GELU";
    case layer_part::layer_norm:
      return "After layer norm, before the feed-forward part";
  }
  return {};
}

// What the second picture adds to the first.
std::string second_panel(const distribution& d) {
  if (d.part == layer_part::softmax && !d.logarithms.counts.empty()) return logarithmic_panel(d);
  if (d.part == layer_part::layer_norm) return channel_panel(d);
  const double crowd = std::fabs(double{d.values.seen.lowest});
  if (!(crowd > 0)) return {};
  return linear_panel(d, "the same, close to zero", {-1.1 * crowd, 3.3 * crowd});
}

std::string figure(const distribution& d, index_type images) {
  return "<figure>\n<figcaption><h3>" + title_of(d.part) + "</h3><p>" + svg::escaped(d.node) +
         ": " + vq::sentence(images, " calibration images, ") + svg::label(d.values.total()) +
         " values from " + svg::label(double{d.values.seen.lowest}, 3) + " to " +
         svg::label(double{d.values.seen.highest}, 3) +
         "</p></figcaption>\n<div class=\"panels\">\n" +
         linear_panel(d, "values in each bar", everything(d)) + second_panel(d) +
         "</div>\n</figure>\n";
}

}  // namespace

std::string distribution_page(const distributions& found) {
  const std::string title = found.model + ": where the values lie, and the levels of 4 bits";
  std::string body = "<h1>" + svg::escaped(title) + "</h1>\n" + legend;
  index_type layer = -1;
  for (const distribution& d : found.all) {
    if (d.encoder_layer != layer) {
      layer = d.encoder_layer;
      body +=
          vq::sentence("<h2>Encoder layer ", layer + 1, " of ", found.encoder_layers, "</h2>\n");
    }
    body += figure(d, found.images);
  }
  return html::page(title, body);
}

}  // namespace demo
