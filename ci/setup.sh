#!/bin/sh
# Installs the real peers that the tests talk to, and the C compiler that the
# race detector needs. Quiet and quick when all is there. Without root, apt or
# npm it says what is missing and goes on: the tests then list what they did not
# prove.
set -eu
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")"

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

# A package must not start its daemon here (prometheus is there for promtool); an existing policy is left alone.
apt_install() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "setup: missing, and not installed for want of root or apt: $*" >&2
		return
	fi
	echo "setup: installing $*"
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	if { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		rm -f "$log"
	else
		tail -n 20 "$log" >&2
		echo "setup: apt could not install $*; the whole log is in $log" >&2
	fi
}

# The copy of the lock is written last, so a broken install is repeated.
npm_install() {
	done=peers/node_modules/.installed-lock
	cmp -s peers/package-lock.json "$done" && return
	if ! command -v npm >/dev/null 2>&1; then
		echo "setup: missing, and not installed for want of npm: node-opcua" >&2
		return
	fi
	echo "setup: installing the peers of ci/peers"
	log=$(mktemp)
	if (cd peers && timeout 900 npm ci) >"$log" 2>&1 && cp peers/package-lock.json "$done"; then
		rm -f "$log"
	else
		tail -n 20 "$log" >&2
		echo "setup: npm could not install node-opcua; the whole log is in $log" >&2
	fi
}

# The OpenTelemetry Collector takes about a minute when nothing of it is in Go's cache.
collector_build() {
	cd peers/collector
	if [ ! otelcol -ot main.go ] && [ ! otelcol -ot go.sum ] && [ -x otelcol ]; then
		cd ../..
		return
	fi
	echo "setup: building the OpenTelemetry Collector"
	log=$(mktemp)
	if CGO_ENABLED=0 timeout 1800 "${GO:-go}" build -trimpath -o otelcol . >"$log" 2>&1; then
		rm -f "$log"
	else
		tail -n 20 "$log" >&2
		echo "setup: the OpenTelemetry Collector could not be built; the whole log is in $log" >&2
	fi
	cd ../..
}

need gcc           gcc
need mosquitto     mosquitto
need mosquitto_pub mosquitto-clients
need rsyslogd      rsyslog
need logger        bsdutils
need tshark        tshark
need ip            iproute2
need tmux          tmux
need jq            jq
need promtool      prometheus
need npm           npm
need fsck.fat      dosfstools
need mcopy         mtools
need e2fsck        e2fsprogs
need unsquashfs    squashfs-tools
need cpio          cpio
need rpm           rpm
need lintian       lintian
need chromium      chromium
need groff         groff-base
need mandoc        mandoc
need curl          curl
need zsh           zsh
need fish          fish
[ -e /usr/share/bash-completion/bash_completion ] || missing="$missing bash-completion"
[ -e /lib/systemd/systemd ] || missing="$missing systemd"
need dtc           device-tree-compiler
need qemu-system-aarch64 qemu-system-arm
case $(uname -m) in x86_64) [ -e /usr/lib/wine/wine64 ] || missing="$missing wine64" ;; esac
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || apt_install $missing
npm_install
collector_build
