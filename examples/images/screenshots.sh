#!/usr/bin/env bash
# The page of the ViT and its screenshots, as ../README.md shows them: light, dark, on a phone.
#   bash examples/images/screenshots.sh [folder with vq and mixed_demo] [folder to work in]
# Measures what the page shows (minutes) unless it is there from an earlier run. Needs Chromium
# and pngquant.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(realpath "${1:-$root/build/release/bin}")
work=${2:-$root/build/page}
mkdir -p "$work"
cd "$work"
ln -sfn "$root/examples" examples # names on the page are relative

[[ -f vit.json ]] || "$bin/vq" sensitivity examples/models/vit -o vit.json
[[ -f rows.json ]] ||
  "$bin/mixed_demo" --folder examples/models --models vit --tables . --json rows.json
"$bin/vq" plan vit.json --model examples/models/vit --bytes 1431420 -o plan.json
"$bin/vq" memory examples/models/vit --budget 4MB --fixed 1MB --json memory.json
"$bin/vq" report --model examples/models/vit --evaluation rows.json --recipe plan.json \
  --sensitivity vit.json --formats int3-channel --layers 2 --memory memory.json -o vit.html

# Windows without a head are at least 500 pixels wide: a phone is a frame in one.
echo '<body style="margin:0"><iframe src="vit.html" style="border:0" width=390 height=1250>' >phone.html

chromium=$(command -v chromium || command -v chromium-browser)
shoot() { # page, width, height, 1 for light and 0 for dark, picture
  "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
    --user-data-dir="$(mktemp -d -p .)" --window-size="$2,$3" --screenshot=shot.png \
    --blink-settings=preferredColorScheme="$4" "file://$PWD/$1" 2>/dev/null
  pngquant --force --strip --output "$root/examples/images/$5" shot.png
}
shoot vit.html 900 3440 1 report-light.png
shoot vit.html 900 3440 0 report-dark.png
shoot phone.html 390 1250 1 report-phone.png
