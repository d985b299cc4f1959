package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
	"heliograph/tools/accept"
	"heliograph/tools/pair"
)

// oneChannel are the tables of a channel without traffic.
const oneTX, oneRX = "[[syslog]]\nchannel = \"log\"\nlisten = [\"udp://127.0.0.1:0\"]\n",
	"[[syslog]]\nchannel = \"log\"\nforward = \"udp://127.0.0.1:9\"\n"

// acceptLink runs heliograph accept with the configuration of RX, in a network namespace or
// "", and returns the report, which has to verify, and the exit code.
func acceptLink(t *testing.T, ns, config, length string) (r *accept.Verified, code int) {
	t.Helper()
	await.NoError(t, "RX has made its certificate", func() error {
		out, err := exec.Command(filepath.Join(programs, "heliograph"), "cert", "show", "--config", config).Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	page := filepath.Join(t.TempDir(), "hall.html")
	args := []string{filepath.Join(programs, "heliograph"), "accept", "--config", config, "-o", page, "--length",
		length,
		"--skip-carrier-test", "--probes", "20"}
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", ns}, args...)
	}
	c := exec.Command(args[0], args[1:]...)
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if code = c.ProcessState.ExitCode(); code != 0 && code != 1 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	jsonPath := strings.TrimSuffix(page, ".html") + ".json"
	f, err := os.Open(jsonPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if r, err = accept.Verify(f); err != nil {
		t.Fatal(err)
	}
	if said := tool(t, "accept", "verify", "--thumbprint", r.Signer, jsonPath); r.Measured == nil ||
		!strings.Contains(said, "measured and signed by") {
		t.Errorf("verify does not name who measured: %s", said)
	}
	return r, code
}

// finding returns that of a subject.
func finding(t *testing.T, r *accept.Verified, subject string) accept.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f accept.Finding) bool { return f.Subject == subject })
	if i < 0 {
		b, _ := json.Marshal(r.Findings)
		t.Fatalf("no finding %q: %s", subject, b)
	}
	return r.Findings[i]
}

// TestABadLinkIsNotAccepted has a relay lose a third of the frames. It passes nothing back,
// and TX counts nothing.
func TestABadLinkIsNotAccepted(t *testing.T) {
	t.Parallel()
	g := newGateway(t, linktest.Profile{Loss: 0.3}, oneTX, oneRX)
	g.Start()
	await.True(t, "frames arrive", func() bool { return g.RX.Status().Link.Frames > 0 })
	r, code := acceptLink(t, "", g.RX.Config, "6s")
	if f := finding(t, r, "loss"); r.Verdict != accept.VerdictFail || code != 1 || f.Level != accept.Fail {
		t.Errorf("got %s, exit code %d, %+v", r.Verdict, code, f)
	}
	if share := float64(r.Window.Missing) / float64(r.Window.Expected); share < 0.1 || share > 0.6 {
		t.Errorf("got %d of %d frames missing, want three of ten", r.Window.Missing, r.Window.Expected)
	}
	if r.Recommendation.Overhead < 0.9 {
		t.Errorf("got %+v, want far more parity", r.Recommendation)
	}
	if f := finding(t, r, "reverse probe"); os.Geteuid() == 0 && f.Level != accept.Pass {
		t.Errorf("nothing can come back through the relay: got %+v", f)
	}
}

// TestABackChannelOfASerialLineIsFound has bytes that RX sends arrive at TX, and then not.
func TestABackChannelOfASerialLineIsFound(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"one way": false, "a back-channel": true} {
		t.Run(name, func(t *testing.T) {
			near, enter := drivertest.OpenPTY(t)
			far, leave := drivertest.OpenPTY(t)
			room := relay.Buffer(far, 1<<20)
			t.Cleanup(func() { _ = room.Close() })
			copyBytes(t, near, room)
			if back {
				copyBytes(t, far, near)
			} else {
				copyBytes(t, far, io.Discard)
			}
			g, err := pair.New(pair.Config{Name: "hall", Programs: programs, Dir: t.TempDir(),
				TX: pair.End{Link: pair.Serial(enter), Tables: oneTX}, RX: pair.End{Link: pair.Serial(leave),
					Tables: oneRX}})
			if err != nil {
				t.Fatal(err)
			}
			for _, role := range []*pair.Role{&g.RX, &g.TX} {
				rig.Start(t, role.Program, "--config", role.Config)
			}
			await.NoError(t, "RX is ready", g.RX.Ready)
			r, code := acceptLink(t, "", g.RX.Config, "3s")
			f := finding(t, r, "reverse probe")
			if want := map[bool]accept.Level{true: accept.Fail, false: accept.Pass}[back]; f.Level != want {
				t.Errorf("got %+v, exit code %d; want %s", f, code, want)
			}
		})
	}
}

// copyBytes copies until the test ends.
func copyBytes(t *testing.T, from *os.File, to io.Writer) {
	go func() { _, _ = io.Copy(to, from) }() // ends when the terminal is closed
	t.Cleanup(func() { _ = from.Close() })
}

// TestABackChannelOfAnEthernetLinkIsFound runs both roles on a virtual cable, which carries
// both ways, and then over a diode: a program that copies frames from one cable to another.
func TestABackChannelOfAnEthernetLinkIsFound(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"a cable": true, "a diode": false} {
		t.Run(name, func(t *testing.T) {
			nsTX, nsRX := namespaces(t)
			if !back {
				diode(t, nsTX, nsRX)
			}
			dir := t.TempDir()
			tool(t, "key", "new", filepath.Join(dir, "pair.key"))
			conf := func(role, tables string) string {
				path := filepath.Join(dir, role+".toml")
				rig.Write(t, path, fmt.Appendf(nil, "pair = \"hall\"\n[link]\nmedium = \"ethernet\"\ninterface = "+
					"\"link0\"\n"+
					"rate = \"100Mbit/s\"\nkey_file = \"pair.key\"\n[state]\ndirectory = \"state-%s\"\n[status]\n"+
					"listen = \"127.0.0.1:9464\"\n%s", role, tables))
				return path
			}
			tx, rx := conf("tx", oneTX), conf("rx", oneRX)
			for ns, args := range map[string][]string{nsRX: {"heliorx", rx}, nsTX: {"heliotx", tx}} {
				rig.Start(t, "/usr/bin/env", "ip", "netns", "exec", ns, filepath.Join(programs, args[0]), "--config",
					args[1])
			}
			await.True(t, "frames arrive", func() bool { return packets(t, nsRX, "rx_packets") > 20 })
			r, code := acceptLink(t, nsRX, rx, "3s")
			f := finding(t, r, "reverse probe")
			if want := map[bool]accept.Level{true: accept.Fail, false: accept.Pass}[back]; f.Level != want {
				t.Errorf("got %+v, exit code %d; want %s", f, code, want)
			}
			if len(r.Reverse.Sent) != 6 || r.Reverse.Left == nil || *r.Reverse.Left != 120 {
				t.Errorf("got %+v, want six kinds and 120 frames that left", r.Reverse)
			}
		})
	}
}

// diode takes a cable apart: what TX's end sends arrives at a cable of its own, and is copied
// to another one at RX, and nothing from there.
func diode(t *testing.T, nsTX, nsRX string) {
	t.Helper()
	for _, line := range []string{
		"-n " + nsTX + " link del link0",
		"-n " + nsTX + " link add link0 type veth peer name diode0",
		"-n " + nsRX + " link add link0 type veth peer name diode1",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	from, to := silentEnd(t, nsTX, "diode0"), silentEnd(t, nsRX, "diode1")
	ended, end := make(chan struct{}), t.Context()
	t.Cleanup(func() { <-ended; _, _ = unix.Close(from), unix.Close(to) })
	go func() {
		defer close(ended)
		b := make([]byte, 2048)
		for end.Err() == nil {
			n, sender, err := unix.Recvfrom(from, b, 0)
			if at, ok := sender.(*unix.SockaddrLinklayer); err == nil && ok && at.Pkttype != unix.PACKET_OUTGOING {
				_, _ = unix.Write(to, b[:n]) // what has no room is lost, as on a wire
			}
		}
	}()
}

// silentEnd brings up an interface that sends nothing by itself, and returns a packet socket
// on it.
func silentEnd(t *testing.T, ns, iface string) (fd int) {
	t.Helper()
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	within(t, ns, func() (err error) {
		// A kernel without IPv6 has no such file, and needs none.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+iface+"/disable_ipv6", []byte("1"), 0)
		if out, err := exec.Command("ip", "link", "set", iface, "arp", "off", "multicast", "off",
			"up").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		second := unix.Timeval{Sec: 1}
		return errors.Join(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second))
	})
	return fd
}

// TestAReportOfAnotherMachineIsSignedByRX has a computer that has neither key nor configuration
// measure a receiver without OPC UA, over its status port alone.
func TestAReportOfAnotherMachineIsSignedByRX(t *testing.T) {
	t.Parallel()
	g := newGateway(t, linktest.Profile{}, oneTX, oneRX)
	g.Start()
	g.Ready()
	page := filepath.Join(t.TempDir(), "hall.html")
	said := tool(t, "accept", "--rx", fmt.Sprintf("127.0.0.1:%d", g.RX.Port()), "-o", page, "--length", "30s",
		"--skip-carrier-test")
	own := strings.Fields(strings.Split(tool(t, "cert", "show", "--config", g.RX.Config), "\n")[1])[1]
	file := strings.TrimSuffix(page, ".html") + ".json"
	if !strings.Contains(said, "measured and signed by RX") || !strings.Contains(said, own) {
		t.Errorf("the finding does not name %s: %s", own, said)
	}
	verified := tool(t, "accept", "verify", "--thumbprint", own, file)
	for _, want := range []string{own, "measured and signed by", "findings, recommendation and page follow"} {
		if !strings.Contains(verified, want) {
			t.Errorf("got %q, want %q in it", verified, want)
		}
	}
	if body, _, err := g.RX.Get("/status.json"); err != nil || !strings.Contains(body, own) {
		t.Errorf("the status does not show the thumbprint: %v", err)
	}
	text := string(rig.Read(t, file))
	for name, c := range map[string]struct {
		text string
		args []string
		want string
	}{
		"another board":    {text, []string{"--thumbprint", strings.Repeat("0", 40)}, "and not of 0000"},
		"a figure":         {strings.Replace(text, `"missing": `, `"missing": 1`, 1), nil, "does not follow from what RX"},
		"a verdict":        {strings.Replace(text, `"PASS WITH REMARKS"`, `"PASS"`, 1), nil, "does not follow"},
		"another verdict":  {strings.Replace(text, `"PASS WITH REMARKS"`, `"GOOD"`, 1), nil, "is not the JSON file"},
		"a statement":      {strings.Replace(text, `\"missing\":`, `\"missing\":1`, 1), nil, "statement 1 was not signed"},
		"no statements":    {strings.Replace(text, `"evidence": {`, `"x": {`, 1), nil, "is not signed"},
		"another page":     {strings.Replace(text, `"page_sha256": "`, `"page_sha256": "0`, 1), nil, "another page"},
		"a later question": {strings.Replace(text, `"number": 2`, `"number": 3`, 1), nil, "another nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			if len(c.args) == 0 && c.text == text {
				t.Fatal("the text was not changed")
			}
			path := filepath.Join(t.TempDir(), "hall.json")
			rig.Write(t, path, []byte(c.text))
			out, err := exec.Command(filepath.Join(programs, "heliograph"), append(append([]string{"accept", "verify"},
				c.args...), path)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("got %v, %s; want %q", err, out, c.want)
			}
		})
	}
}
