#!/bin/sh
# Prints the screen of a running demo as text, as README.md shows it: after an outage. With
# -e first, colours are kept as a terminal's sequences; a number is how many seconds to wait.
set -eu
colours=
[ "${1:-}" != -e ] || { colours=-e; shift; }
cd "$(dirname "$0")/.."
terminal="tmux -L heliograph-screen-$$"
$terminal new-session -d -x 84 -y 27 bin/heliograph demo
trap '$terminal kill-server' EXIT
# Until values of every channel have crossed, and some seconds more for the figures.
tries=0
until $terminal capture-pane -p | grep -q 'press-opcua *[1-9]'; do
	tries=$((tries + 1))
	[ $tries -lt 120 ] || { echo "screen: the demo did not start" >&2; exit 1; }
	sleep 1
done
sleep "${1:-15}"
$terminal send-keys c
sleep 6
$terminal send-keys c
sleep 6
# shellcheck disable=SC2086 # nothing, or a flag
$terminal capture-pane -p $colours | sed 's/ *$//'
$terminal send-keys q
