package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// pairsOfHosts counts what namespaces makes: tests of one process run beside each other.
var pairsOfHosts atomic.Uint32

// namespaces makes two hosts joined by one cable, both ends down.
func namespaces(t *testing.T) (a, b string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("not proved: that the receiver sends nothing on a real interface, because network namespaces need " +
			"root and iproute2")
	}
	n := fmt.Sprintf("%d-%d", os.Getpid(), pairsOfHosts.Add(1))
	a, b = "heliotx"+n, "heliorx"+n
	for _, line := range []string{
		"netns add " + a, "netns add " + b,
		"-n " + a + " link add link0 type veth peer name link0 netns " + b,
		"-n " + a + " link set lo up", "-n " + b + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	t.Cleanup(func() {
		for _, ns := range []string{a, b} {
			if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
				t.Errorf("ip netns del: %v: %s", err, out)
			}
		}
	})
	return a, b
}

// within runs f in a namespace; sockets that it opens stay there.
func within(t *testing.T, ns string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() { done <- inNamespace(ns, f) }()
	if err := <-done; err != nil {
		t.Fatalf("in %s: %v", ns, err)
	}
}

// inNamespace runs f on a thread that is in ns meanwhile. The thread must come
// back: were it to end, so would the processes that it has started (PR_SET_PDEATHSIG).
func inNamespace(ns string, f func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(home)
	away, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(away)
	if err := unix.Setns(away, unix.CLONE_NEWNET); err != nil {
		return err
	}
	result := f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		return err // the thread stays locked, and ends
	}
	runtime.UnlockOSThread()
	return result
}

// packets reads a counter of the link's interface in a namespace.
func packets(t *testing.T, ns, counter string) uint64 {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns, "cat", "/sys/class/net/link0/statistics/"+counter).Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sendAcross has lines sent to heliotx in its namespace, and wants each at the collector
// once. A busy machine loses some frames from its buffers: those lines come late.
func sendAcross(t *testing.T, ns string, siem *collector, n int) {
	t.Helper()
	var lines []string
	for i := range n {
		lines = append(lines, longLine(i))
	}
	await.NoError(t, "lines are taken", func() (err error) {
		within(t, ns, func() error { err = sendLines(6010, lines); return nil })
		return err
	})
	siem.has(t, n)
	sameButLate(t, "line", siem.all(), lines, uint64(n/10), itself)
}

// TestEthernetCarriesAndTheReceiverIsSilent runs both roles on one cable, the
// interfaces down when they begin.
func TestEthernetCarriesAndTheReceiverIsSilent(t *testing.T) {
	t.Parallel()
	const n = 2000
	nsTX, nsRX := namespaces(t)
	dir := t.TempDir()
	tool(t, "key", "new", filepath.Join(dir, "pair.key"))
	conf := func(role, rest string) string {
		path := filepath.Join(dir, role+".toml")
		rig.Write(t, path, fmt.Appendf(nil, "pair = \"e2e\"\n[link]\nmedium = \"ethernet\"\ninterface = "+
			"\"link0\"\nrate = \"100Mbit/s\"\n"+
			"key_file = \"pair.key\"\n[state]\ndirectory = \"state-%s\"\n[[syslog]]\nchannel = \"syslog\"\n%s", role,
			rest))
		return path
	}
	tx := conf("tx", "listen = [\"tcp://127.0.0.1:6010\"]\n")
	rx := conf("rx", "forward = \"tcp://127.0.0.1:6011\"\n")

	siem := &collector{port: 6011}
	within(t, nsRX, func() error { return siem.listen(t) })
	rig.Start(t, "/usr/bin/env", "ip", "netns", "exec", nsRX, filepath.Join(programs, "heliorx"), "--config", rx)
	rig.Start(t, "/usr/bin/env", "ip", "netns", "exec", nsTX, filepath.Join(programs, "heliotx"), "--config", tx)
	sendAcross(t, nsTX, siem, n)
	if sent := packets(t, nsRX, "tx_packets"); sent != 0 {
		t.Errorf("the receiver's interface has sent %d packets since it was made, want none", sent)
	}
	if got := packets(t, nsTX, "rx_packets"); got != 0 {
		t.Errorf("the transmitter's interface has received %d packets, want none", got)
	}
	if got := packets(t, nsRX, "rx_packets"); got == 0 {
		t.Error("the receiver's interface has received nothing: the counters are not those of the link")
	}
}
