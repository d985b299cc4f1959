#!/bin/sh
# Makes the drawings of documents: ci/drawing/demo.svg and console.svg from terminals, which
# are kept in the repository as text, and with a folder as argument the status pages as PNG
# in it, which takes Chromium and is not kept. Takes tmux.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${GO:-go}" build -o "$work/drawing" ./ci/drawing
sh ci/screen.sh -e 15 >"$work/demo"
"$work/drawing" svg <"$work/demo" >ci/drawing/demo.svg

"$work/drawing" board >"$work/device" &
board=$!
terminal="tmux -L heliograph-drawing-$$"
trap 'kill $board; $terminal kill-session 2>/dev/null || true; rm -rf "$work"' EXIT
tries=0
until [ -s "$work/device" ]; do
	tries=$((tries + 1))
	[ $tries -lt 120 ] || { echo "drawing: the board did not start" >&2; exit 1; }
	sleep 1
done
$terminal new-session -d -x 84 -y 24 "bin/heliograph console $(cat "$work/device")"
sleep 45 # of history
$terminal capture-pane -e -p | "$work/drawing" svg >ci/drawing/console.svg
[ $# = 0 ] || sh ci/pages.sh "$1"
