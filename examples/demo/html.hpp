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
  --tick: #59636e; --chosen: #b3261e; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e6e9ed; --faint: #a3acb7; --line: #333a43; --bar: #2f5d8f;
    --tick: #a3acb7; --chosen: #ff9a8d; }
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
@media (max-width: 30rem) { text { font-size: 14px; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; }
  .panels { grid-template-columns: 1fr 1fr; } .bars { print-color-adjust: exact; }
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
