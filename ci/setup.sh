#!/bin/sh
# Installs the real peers that the tests talk to, and the C compiler that the
# race detector needs. Quiet and quick when all is there. Without root or apt it
# says what is missing and goes on: the tests then list what they did not prove.
set -eu
PATH=$PATH:/usr/sbin:/sbin

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need gcc           gcc
need mosquitto     mosquitto
need mosquitto_pub mosquitto-clients
need rsyslogd      rsyslog
need tshark        tshark
need ip            iproute2
need tmux          tmux
need jq            jq
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "setup: missing, and not installed for want of root or apt:$missing" >&2
	exit 0
fi
echo "setup: installing$missing"
# A package must not start its daemon here; an existing policy is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # a list of words
if { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	rm -f "$log"
else
	tail -n 20 "$log" >&2
	echo "setup: apt could not install$missing; the whole log is in $log" >&2
fi
