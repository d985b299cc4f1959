package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/ci/tutorial"
	"heliograph/tools/accept"
	"heliograph/tools/console"
	"heliograph/tools/plant"
)

// follower is a newcomer who has a release, two terminals, and the tutorial.
type follower struct {
	t      *testing.T
	root   string // of the file system that the cards are made in
	shell  *tutorial.Shell
	blocks []string
	keys   *os.File // of the terminal of board-demo
	start  string   // file with what board-demo says at its start
	own    string   // thumbprint of RX, as its label has it

	bound time.Duration // of what the boards are waited for
}

// crossBoots is how many times the boards' first boot may pass until the plant's address space has
// crossed: with all of namespace 0 and on an idle machine that took about twenty times as long.
const crossBoots = 60

// TestAReleaseAloneLeadsToTwoBoardsAndAReport makes a release, and does with it alone what
// the tutorial says: makes the cards of a pair, without a network in a root that has nothing
// else, boots both boards, reads the plant's value at the mirror with node-opcua, accepts the
// link, and has a way back found.
func TestAReleaseAloneLeadsToTwoBoardsAndAReport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "unshare", "tar", "sha256sum", "curl"} {
		need(t, name)
	}
	if os.Getuid() != 0 {
		t.Skip("not proved: a release alone makes two boards, because only root can change its root")
	}
	node := rig.Program(t, "node", "a release alone makes two boards that work")
	f := newFollower(t)
	for _, block := range f.blocks[:4] { // unpack, the folder, the plant, the configurations
		f.shell.Does(block)
	}
	// Nine tenths of what would cross, which a busy machine's emulator takes twenty minutes for and more. They
	// cross in the tests of programs.
	tx := filepath.Join(f.shell.Dir, "pair", "tx.toml")
	rig.Write(t, tx, append(rig.Read(t, tx), excludeTypes...))
	start := time.Now()
	f.cards(f.blocks[4])
	f.boots(f.blocks[5])
	f.shell.Does(f.blocks[6]) // both are ready
	f.reads(node)
	t.Logf("from the configurations to a value at a client: %s", time.Since(start).Round(time.Second))
	f.accepts(strings.Replace(f.blocks[8], "--minutes 1 ", "--length 40s ", 1), "pair.json", accept.Pass)
	if said := f.shell.Does(strings.Replace(f.blocks[9], "THUMBPRINT", f.own, 1)); !strings.Contains(said, f.own) {
		t.Errorf("accept verify does not name the board's certificate: %s", said)
	}
	f.press("b")
	f.accepts(f.blocks[10], "way-back.json", accept.Fail)
}

// newFollower makes the release in a root of its own, and opens a shell there.
func newFollower(t *testing.T) *follower {
	t.Helper()
	f := &follower{t: t, root: t.TempDir(), blocks: tutorial.Blocks(t, "../../tools/release/tutorial.md", "## 9.", "")}
	if len(f.blocks) != 11 {
		t.Fatalf("the section has %d blocks, want 11: say here what each of them does", len(f.blocks))
	}
	dist := filepath.Join(f.root, "dist")
	made := exec.Command("go", "run", "./tools/release", "-version", "0.0.1", "-boards", "virt", "-parts",
		"tool,images", "-platforms", "linux/"+runtime.GOARCH, "-o", dist)
	made.Dir = "../.."
	if said, err := made.CombinedOutput(); err != nil {
		t.Fatalf("making a release: %v\n%s", err, said)
	}
	for i := range f.blocks {
		f.blocks[i] = strings.ReplaceAll(f.blocks[i], "_linux_amd64", "_linux_"+runtime.GOARCH)
	}
	f.shell = tutorial.Begin(t, dist, dist)
	f.shell.Bound = firstBound
	return f
}

// cards runs the block that makes them in the root that has the release and the configurations
// alone.
func (f *follower) cards(block string) {
	f.t.Helper()
	for _, name := range []string{"tmp", "proc"} {
		if err := os.Mkdir(filepath.Join(f.root, name), 0o777); err != nil {
			f.t.Fatal(err)
		}
	}
	program := "/dist/heliograph_0.0.1_linux_" + runtime.GOARCH + "/heliograph"
	const alone = "heliograph() { unshare --net --root=%s --wd=/dist/pair --mount-proc %s \"$@\"; }\n"
	said := f.shell.Does(fmt.Sprintf(alone, f.root, program) + block)
	f.t.Log(said)
	_, label, _ := strings.Cut(said, "HELIOGRAPH RX")
	if m := regexp.MustCompile(`OPC UA +([0-9A-F]{40})`).FindStringSubmatch(label); m != nil {
		f.own = m[1]
	}
}

// boots runs the block that boots the boards in a terminal of its own, and learns where this
// machine reaches them.
func (f *follower) boots(block string) {
	f.t.Helper()
	f.start = filepath.Join(f.t.TempDir(), "start")
	out, err := os.Create(f.start)
	if err != nil {
		f.t.Fatal(err)
	}
	programs := filepath.Join(f.shell.Dir, "heliograph_0.0.1_linux_"+runtime.GOARCH)
	c := exec.Command("bash", "-c", "PATH="+programs+":$PATH; exec "+block)
	c.Dir, c.Stderr = filepath.Join(f.shell.Dir, "pair"), out
	begin := time.Now()
	if f.keys, err = pty.StartWithSize(c, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		f.t.Fatal(err)
	}
	screen, ended := &lines{}, make(chan error, 1)
	go func() {
		_, _ = io.Copy(screen, f.keys) // ends with the program
		ended <- c.Wait()
	}()
	f.t.Cleanup(func() {
		f.press("q")
		_ = await.Receive(f.t, "the end of board-demo", ended)
		_ = f.keys.Close()
		_ = out.Close()
		if f.t.Failed() {
			f.t.Logf("board-demo said:\n%s\nits screen:\n%s", rig.Read(f.t, f.start), screen.String())
		}
	})
	at := regexp.MustCompile(`(?m)^(page|mirror|console) .*`)
	await.NoError(f.t, "board-demo says where the boards are", func() error {
		if said := string(rig.Read(f.t, f.start)); !strings.Contains(said, "\nconsole ") {
			return errors.New(said)
		}
		return nil
	})
	for _, line := range at.FindAllString(string(rig.Read(f.t, f.start)), -1) {
		for _, m := range regexp.MustCompile(`(RX|TX) \S+:(\d+)`).FindAllStringSubmatch(line, -1) {
			what, _, _ := strings.Cut(line, " ")
			inTheDocument := map[string]string{"page RX": "9465", "page TX": "9464", "mirror RX": "4840",
				"console RX": "4002", "console TX": "4001"}
			f.shell.Ports[inTheDocument[what+" "+m[1]]] = m[2]
		}
	}
	for _, port := range []string{"9464", "9465"} {
		f.answers("http://127.0.0.1:" + f.shell.Ports[port] + "/readyz")
	}
	f.bound = max(firstBound, crossBoots*time.Since(begin))
	f.shell.Bound = f.bound
}

// answers waits until a board has booted and answers, ready or not.
func (f *follower) answers(url string) {
	f.t.Helper()
	await.Within(f.t, firstBound, url+" answers", func() error {
		r, err := web.Get(url)
		if err != nil {
			return err
		}
		return r.Body.Close()
	})
}

// press types at the terminal of board-demo.
func (f *follower) press(key string) {
	if _, err := f.keys.WriteString(key); err != nil {
		f.t.Error(err)
	}
}

// reads has a client of node-opcua read the plant's value at the mirror, as UaExpert does,
// which is trusted at RX's console.
func (f *follower) reads(node string) {
	f.t.Helper()
	if said := f.shell.Does(f.blocks[7]); !strings.Contains(said, "HELIOGRAPH RX") {
		f.t.Errorf("the console shows %q, want that of RX", said)
	}
	argument, _ := json.Marshal(map[string]string{"url": "opc.tcp://127.0.0.1:" + f.shell.Ports["4840"],
		"tag": plant.Tag(0).String(), "policy": "Basic256Sha256", "user": "ann", "password": "choose-another",
		"pki": filepath.Join(f.t.TempDir(), "pki")})
	read := func() error {
		out, err := exec.CommandContext(f.t.Context(), node, "../peers/reader.js", string(argument)).CombinedOutput()
		var got struct {
			Value  any
			Status string
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if json.Unmarshal([]byte(lines[len(lines)-1]), &got) != nil || got.Status != "Good" || got.Value == nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	}
	c := f.console()
	const listed = "Number of the one to trust"
	await.Within(f.t, f.bound, "the console lists the client's certificate", func() error {
		refused := read() // again: a busy machine's client may give up before it is refused
		if refused == nil {
			f.t.Fatal("the mirror let a client in that no one has trusted")
		}
		if said := c.says("c", "certificate was rejected", listed); said != listed {
			return fmt.Errorf("the console says %q; the client: %v", said, refused)
		}
		return nil
	})
	c.says("1", "Compare its thumbprint")
	c.says("yes\r", "Trusted within two seconds.")
	c.port.Close()
	await.Within(f.t, f.bound, "node-opcua reads the plant's value at the mirror", read)
}

// accepts runs a block with accept, does what that asks for, and looks at the report.
func (f *follower) accepts(block, report string, probe accept.Level) {
	f.t.Helper()
	before := len(f.shell.Screen())
	asked := func(text string) {
		f.t.Helper()
		await.Within(f.t, f.bound, "accept says: "+text, func() error {
			if said := f.shell.Screen()[before:]; !strings.Contains(said, text) {
				return errors.New(said)
			}
			return nil
		})
	}
	end := f.shell.Starts(block)
	asked("press v at the console of RX's board")
	c := f.console()
	c.says("v", "Type yes")
	c.says("yes\r", "Sending")
	defer c.port.Close()
	if !strings.Contains(block, "--skip-carrier-test") {
		asked("pull the fibre")
		f.press("c")
		asked("put it back now")
		f.press("c")
	}
	said, ok := end()
	r := f.report(report)
	i := slices.IndexFunc(r.Findings, func(f accept.Finding) bool { return f.Subject == "reverse probe" })
	if i < 0 || r.Findings[i].Level != probe {
		f.t.Errorf("want %s of the reverse probe: %s", probe, said)
	}
	if probe == accept.Fail && (ok || r.Verdict != accept.VerdictFail) {
		f.t.Errorf("a way back was accepted: %s", said)
	}
	if probe == accept.Pass && (!r.Carrier.Done || r.Carrier.Frames == 0) {
		f.t.Errorf("the carrier test was not done: %s", said)
	}
}

// report reads a report, which has to be signed by the board.
func (f *follower) report(name string) *accept.Verified {
	f.t.Helper()
	file, err := os.Open(filepath.Join(f.shell.Dir, "pair", name))
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	r, err := accept.Verify(file)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// atConsole is someone at a board's console. What the board says is read as it comes: a reader that
// fell behind would see an answer minutes late.
type atConsole struct {
	f     *follower
	port  console.Device
	shown *lines
}

// console goes to the one of RX.
func (f *follower) console() *atConsole {
	f.t.Helper()
	port, err := console.Open("tcp://127.0.0.1:" + f.shell.Ports["4002"])
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = port.Close() })
	c := &atConsole{f, port, &lines{}}
	go func() { _, _ = io.Copy(c.shown, port) }() // ends with the port
	return c
}

// says types keys, waits until the board has said one of some texts after them, and returns
// which.
func (c *atConsole) says(keys string, want ...string) (said string) {
	c.f.t.Helper()
	before := len(c.shown.String())
	if _, err := c.port.Write([]byte(keys)); err != nil {
		c.f.t.Fatal(err)
	}
	await.Within(c.f.t, c.f.bound, fmt.Sprintf("the console says one of %q", want), func() error {
		shown := c.shown.String()[before:]
		for _, said = range want {
			if strings.Contains(shown, said) {
				return nil
			}
		}
		return errors.New("its end is " + shown[max(0, len(shown)-4096):])
	})
	return said
}
