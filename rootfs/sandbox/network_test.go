package sandbox

import (
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"heliograph/ci/await"
)

func TestARoleUsesThePortsThatItsConfigurationNames(t *testing.T) {
	root(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	peer, free := listener.Addr().(*net.TCPAddr).Port, await.FreePort(t)
	for _, c := range []struct {
		attempt      string
		port         int
		named, other string
	}{
		{"connect", peer, "done", "EACCES"},
		{"connect over Multipath TCP", peer, "EPERM", "EPERM"},
		{"connect by Fast Open", peer, "EPERM", "EPERM"},
		{"bind", free, "done", "EACCES"},
		{"listen over both IPv4 and IPv6", free, "done", "EACCES"},
		{"bind over Multipath TCP", free, "EPERM", "EPERM"},
	} {
		t.Run(c.attempt, func(t *testing.T) {
			run := func(inside bool, bind, connect []uint16) string {
				t.Helper()
				dir := folder(t)
				s := spec(dir, Transmit, newWire(t, "socket", "").near)
				s.Bind, s.Connect = bind, connect
				s.Arguments = []string{c.attempt, s.State, "-", strconv.Itoa(c.port)}
				program := exec.Command(s.Program, s.Arguments...)
				if inside {
					if program, err = command(s); err != nil {
						t.Fatal(err)
					}
					program.Path = bench + "/stage"
				}
				out, err := program.CombinedOutput()
				if err != nil {
					return err.Error() + ": " + string(out)
				}
				return strings.TrimSpace(string(out))
			}
			port := uint16(c.port)
			if got := run(true, []uint16{port}, []uint16{port}); got != c.named {
				t.Errorf("a port that is named: %q, want %q", got, c.named)
			}
			for _, ports := range [][]uint16{nil, {port + 1}} {
				if got := run(true, ports, ports); got != c.other {
					t.Errorf("with %d named: %q, want %q", ports, got, c.other)
				}
			}
			if got := run(true, []uint16{port}, nil); strings.HasPrefix(c.attempt, "connect") && got != c.other {
				t.Errorf("a port that is named to listen on: %q, want %q", got, c.other)
			}
			if got := run(false, nil, nil); got != "done" && got != "EPROTONOSUPPORT" && got != "EINPROGRESS" {
				t.Errorf("without the sandbox: %q, want \"done\", or a kernel without it: this row proves nothing", got)
			}
		})
	}
}
