// A page that is one file: no network, no script; for light and dark screens, phones and paper.
//
//   std::string page = html::page("title", "<h1>...</h1><figure>...</figure>");
//
// The style knows the classes of drawings (svg.hpp), and panels: drawings side by side where there is
// room.
#ifndef DEMO_HTML_HPP
#define DEMO_HTML_HPP

#include <string>
#include <string_view>

#include "demo/svg.hpp"

namespace demo::html {

inline constexpr std::string_view style = R"(
:root { --page: #fff; --ink: #1b1f24; --faint: #59636e; --line: #d9dee4; --bar: #9fc3ea;
  --tick: #59636e; --chosen: #b3261e; --part0: #3b6ea8; --part1: #6a9fd4; --part2: #a9c9ea;
  --part3: #8a6fb0; --part4: #c2a3d8; --part5: #5f9b76; --part6: #d1a04a; --part7: #9aa3ad; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e6e9ed; --faint: #a3acb7; --line: #333a43; --bar: #2f5d8f;
    --tick: #a3acb7; --chosen: #ff9a8d; --part0: #7fb0e6; --part1: #4f81b8; --part2: #2c5480;
    --part3: #a98bd0; --part4: #6d5590; --part5: #74b88f; --part6: #d9ab58; --part7: #6f7883; }
}
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 2.5rem 0 0; font-size: 1.2rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1rem; }
figure { margin: 1.2rem 0 0; break-inside: avoid; }
figcaption p { margin: 0 0 .3rem; color: var(--faint); font-size: .85rem;
  overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: .5rem 1.5rem; }
svg { display: block; width: 100%; height: auto; }
text { fill: var(--faint); font: 11.5px system-ui, sans-serif; }
.title { fill: var(--ink); }
.below { text-anchor: middle; }
.left, .right { text-anchor: end; }
.best { fill: var(--chosen); font-weight: 700; }
.bars { fill: var(--bar); }
.lines { stroke: var(--line); }
.axis { stroke: var(--faint); fill: none; }
.ticks { stroke: var(--tick); stroke-width: 1.3; }
.chosen { stroke: var(--chosen); stroke-width: 2; }
.over { stroke: var(--chosen); stroke-width: .8; opacity: .6; }
.front { stroke: var(--chosen); stroke-width: 1.5; fill: none; }
.leader { stroke: var(--faint); stroke-width: .7; }
.dots { fill: var(--tick); }
.dots.of-front { fill: var(--chosen); }
.whiskers { stroke: var(--ink); fill: none; }
.part0 { fill: var(--part0); } .part1 { fill: var(--part1); } .part2 { fill: var(--part2); }
.part3 { fill: var(--part3); } .part4 { fill: var(--part4); } .part5 { fill: var(--part5); }
.part6 { fill: var(--part6); } .part7 { fill: var(--part7); }
.legend span { margin-right: 1rem; font-size: .85rem; white-space: nowrap; }
.legend svg { display: inline-block; width: .8rem; height: .8rem; }
.source { color: var(--faint); font-size: .8rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; display: block;
  overflow-x: auto; }
th, td { padding: .15rem .7rem .15rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td:nth-child(2), td:nth-child(3), td:nth-child(4) { font-variant-numeric: tabular-nums; }
td:nth-child(5) { min-width: 14rem; }
@media (max-width: 30rem) { figure { overflow-x: auto; } figure > svg { min-width: 36rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; }
  .panels { grid-template-columns: 1fr 1fr; } .bars, [class^="part"] { print-color-adjust: exact; }
  h2 { break-after: avoid; } }
)";

inline std::string page(std::string_view title, std::string_view body) {
  std::string text = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  text += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  text += "<meta name=\"color-scheme\" content=\"light dark\">\n<title>";
  text += svg::escaped(title);
  text += "</title>\n<style>\n";
  text += style;
  text += "</style>\n</head>\n<body>\n";
  text += body;
  return text + "</body>\n</html>\n";
}

}  // namespace demo::html

#endif
