package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// rendition is an escape sequence that sets how text looks (ECMA-48, SGR).
var rendition = regexp.MustCompile(`\x1b\[([0-9;:]*)m`)

// colour matches the parameters of one that sets a colour: of the 8, the bright 8, the 256, or any.
var colour = regexp.MustCompile(`(^|[;:])(3[0-8]|4[0-8]|58|9[0-7]|10[0-7])([;:]|$)`)

func coloured(output string) bool {
	for _, m := range rendition.FindAllStringSubmatch(output, -1) {
		if colour.MatchString(m[1]) {
			return true
		}
	}
	return false
}

// colourful is a command that has colours on a terminal.
type colourful struct {
	args  []string
	shows string // when it has shown enough on a terminal
	pipe  string // the same on a pipe
	quit  string // keys that end it on a terminal; "": it ends by itself
}

// TestColoursAreForTerminals starts every command that has colours: on a terminal, on one of a
// person who wants none (https://no-color.org), and on a pipe.
func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	g := newGateway(t, linktest.Profile{}, oneTX, oneRX)
	g.Start()
	g.Ready()
	address := fmt.Sprintf("127.0.0.1:%d", g.RX.Port())
	rig.Write(t, filepath.Join(g.Dir, "broken.toml"), []byte(strings.Replace(string(rig.Read(t, g.TX.Config)),
		"udp://127.0.0.1:0", "udp://192.0.2.1:514", 1)))
	for name, c := range map[string]colourful{
		"watch":      {[]string{"watch", address}, "test", "test", "q"},
		"watch once": {[]string{"watch", "--once", address}, "test", "test", ""},
		"demo":       {[]string{"demo", "--duration", "3s"}, "latency", "delivered", ""},
		"console":    {[]string{"console", boardOnWire(t)}, "press-hall", "press-hall", "\x03"},
		"doctor": {[]string{"doctor", "--config", filepath.Join(g.Dir, "broken.toml")}, "FINDING",
			"FINDING", ""},
		"accept": {[]string{"accept", "--rx", address, "--length", "3s", "--skip-carrier-test", "-o"}, "recommended",
			"recommended", ""},
		"init": {[]string{"init"}, "File for heliotx", "", "\x03"},
	} {
		t.Run(name, func(t *testing.T) { c.compare(t) })
	}
}

// command is the command, in a folder of its own.
func (c colourful) command(t *testing.T, environment ...string) *exec.Cmd {
	args := c.args
	if args[len(args)-1] == "-o" {
		args = append(args[:len(args):len(args)], filepath.Join(t.TempDir(), "report.html"))
	}
	cmd := exec.Command(filepath.Join(programs, "heliograph"), args...)
	cmd.Dir = t.TempDir()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.Contains(name, "COLOR") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "TERM=xterm-256color"), environment...)
	return cmd
}

func (c colourful) compare(t *testing.T) {
	plain := c.onTerminal(t, "NO_COLOR=1")
	if coloured(plain) {
		t.Errorf("NO_COLOR=1: got colours in %q", plain)
	}
	if full := c.onTerminal(t); !coloured(full) && c.args[0] != "accept" {
		t.Errorf("got no colour on a terminal: %q", full)
	}
	if c.pipe == "" {
		return
	}
	if piped := c.onPipe(t); strings.Contains(piped, "\x1b") {
		t.Errorf("on a pipe: got %q", piped)
	}
}

// onTerminal returns what the command writes to a terminal.
func (c colourful) onTerminal(t *testing.T, environment ...string) string {
	t.Helper()
	s := onTerminal(t, c.command(t, environment...))
	s.shows(c.shows)
	if c.quit != "" {
		s.types(c.quit)
	}
	s.ends()
	return s.output()
}

// onPipe returns what the command writes to a pipe.
func (c colourful) onPipe(t *testing.T) string {
	t.Helper()
	p := rig.Launch(t, c.command(t))
	await.True(t, c.pipe+" from "+c.args[0], func() bool { return strings.Contains(p.Log(), c.pipe) })
	if c.quit != "" {
		p.Send(syscall.SIGTERM)
	}
	await.Receive(t, "end of "+c.args[0], p.Done())
	return p.Log()
}

// boardOnWire is a board's console at the other end of a wire, and the device there.
func boardOnWire(t *testing.T) (device string) {
	t.Helper()
	dir := t.TempDir()
	if err := rig.Build(dir, "ci/drawing"); err != nil {
		t.Fatal(err)
	}
	p := rig.Start(t, filepath.Join(dir, "drawing"), "board")
	await.True(t, "the board", func() bool {
		device = strings.TrimSpace(p.Log())
		return device != ""
	})
	return device
}
