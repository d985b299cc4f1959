package qemu

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/rootfs/console"
	"heliograph/tools/boarddemo/emulator"
)

// What a board is waited for is bounded by a multiple of its own first boot. One of virt
// takes about 5 s and one of a Pi 30 s, and either takes minutes on a machine that does
// other things too.
const (
	firstBound  = 10 * time.Minute // of the first boot
	leastBound  = 150 * time.Second
	boundBoots  = 30               // first boots that a wait may take
	leastAnswer = 10 * time.Second // of a console that runs
	answerBoots = 2
)

// web gives up a board that does not answer, so that it is asked again, or found to be too late.
var web = http.Client{Timeout: 30 * time.Second}

// machine is a running board.
type machine struct {
	screen lines
	keys   io.Writer
	qmp    string // socket
	ctx    context.Context
	stop   func() // a power cut
	ends   <-chan struct{}
	start  time.Time
	booted atomic.Int64 // time.Duration from start until it was seen to run; 0 before that
}

// bound is how long the board may take for anything.
func (m *machine) bound() time.Duration {
	if d := time.Duration(m.booted.Load()); d > 0 {
		return max(leastBound, boundBoots*d)
	}
	return firstBound
}

// wiring is what a board is connected to.
type wiring struct {
	status string   // host:port of this machine that reaches the board's status port
	link   string   // character device of the emulator
	ports  []string // more of this machine that reach the board: tcp:host:port-:port
	reads  string   // file that the firmware reads; config.txt where it is empty
	once   bool     // the emulator ends when the board restarts
}

// boot starts the board from a card image, as the firmware would, which takes the
// set that config.txt names. The end of the test is a power cut.
func boot(t *testing.T, card string, w wiring) *machine {
	t.Helper()
	folder := t.TempDir()
	set := prefix(t, card, cmp.Or(w.reads, "config.txt"))
	for _, name := range []string{"vmlinuz", "initramfs", "cmdline.txt"} {
		run(t, "mcopy", "-i", card+"@@4M", "::"+set+name, folder)
	}
	line, err := os.ReadFile(filepath.Join(folder, "cmdline.txt"))
	if err != nil {
		t.Fatal(err)
	}
	outside := "hostfwd=tcp:" + w.status + "-:9464"
	for _, p := range w.ports {
		outside += ",hostfwd=" + p
	}
	ctx, stop := context.WithCancel(t.Context())
	m := &machine{ctx: ctx, stop: stop, qmp: filepath.Join(folder, "qmp")}
	c := exec.CommandContext(ctx, emulator.Program, emulator.Board{
		Card: card, Kernel: filepath.Join(folder, "vmlinuz"), Initramfs: filepath.Join(folder, "initramfs"),
		CommandLine: strings.TrimSpace(string(line)), Link: w.link, Outside: outside,
	}.Arguments()...)
	c.Args = append(c.Args, "-qmp", "unix:"+m.qmp+",server=on,wait=off")
	if w.once {
		c.Args = append(c.Args, "-no-reboot")
	}
	m.run(t, c)
	return m
}

// run starts the emulator.
func (m *machine) run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	c.Stdout, c.Stderr = &m.screen, &m.screen
	var err error
	if m.keys, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ends := make(chan struct{})
	m.ends, m.start = ends, time.Now()
	go func() {
		defer close(ends)
		err := c.Wait()
		fmt.Fprintf(&m.screen, "emulator ended: %v\n", err)
		m.stop()
	}()
	t.Cleanup(m.cut)
}

// cut takes the power away.
func (m *machine) cut() {
	m.stop()
	<-m.ends
}

// until waits for a condition, which says what is still wrong.
func (m *machine) until(t *testing.T, what string, condition func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := condition()
		if err == nil {
			m.booted.CompareAndSwap(0, int64(time.Since(m.start)))
			return
		}
		if m.ctx.Err() != nil || time.Since(begin) > m.bound() {
			t.Logf("the console:\n%s", m.screen.String())
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// shows waits until the console has shown a text n times.
func (m *machine) shows(t *testing.T, text string, n int) {
	t.Helper()
	m.until(t, "the console shows "+text, func() error {
		if got := strings.Count(m.screen.String(), text); got < n {
			return fmt.Errorf("got it %d times, want %d", got, n)
		}
		return nil
	})
}

// answers waits until the address answers 200.
func (m *machine) answers(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Second}
	m.until(t, url+" answers", func() error {
		r, err := client.Get(url)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			why, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
			return fmt.Errorf("%d %s", r.StatusCode, why)
		}
		return nil
	})
}

// press types on the console.
func (m *machine) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(m.keys, keys); err != nil {
		t.Fatal(err)
	}
}

// status asks the console how the board stands.
func (m *machine) status(t *testing.T) (console.Status, error) {
	t.Helper()
	const mark = "-----BEGIN HELIOGRAPH status"
	before := strings.Count(m.screen.String(), mark)
	m.press(t, string(rune(console.Enquiry)))
	answer := max(leastAnswer, answerBoots*time.Duration(m.booted.Load()))
	for end := time.Now().Add(answer); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s := m.screen.String()
		if strings.Count(s, mark) == before || !strings.HasSuffix(strings.TrimSpace(s), "END HELIOGRAPH status-----") &&
			!strings.Contains(s[strings.LastIndex(s, mark):], "END HELIOGRAPH status") {
			continue
		}
		data, err := console.Unframe(reader(s[strings.LastIndex(s, mark):]), "status")
		if err != nil {
			return console.Status{}, err
		}
		var got console.Status
		return got, json.Unmarshal(data, &got)
	}
	return console.Status{}, fmt.Errorf("the console does not answer")
}

// cable returns the serial device at which a PC finds the board's console.
func (m *machine) cable(t *testing.T) string {
	t.Helper()
	master, path := drivertest.OpenPTY(t)
	m.screen.mu.Lock()
	m.screen.tap = master
	m.screen.mu.Unlock()
	t.Cleanup(func() {
		m.screen.mu.Lock()
		defer m.screen.mu.Unlock()
		m.screen.tap = nil
	})
	go func() { _, _ = io.Copy(m.keys, master) }() // until the test closes it
	return path
}

// stands waits until the console shows this state of the board.
func (m *machine) stands(t *testing.T, want string) {
	t.Helper()
	m.until(t, "the board stands "+want, func() error {
		got, err := m.status(t)
		if err == nil && string(got.State) != want {
			err = fmt.Errorf("it stands %s: %s", got.State, got.Reason)
		}
		return err
	})
}

// pl061 is where the board has its GPIO lines: GPIODATA, all eight bits
// (ARM DDI 0190B, 3.3.1).
const pl061 = 0x09030000 + 0xff<<2

// lit samples a GPIO line from outside, in the register of its level, and returns
// the share of time it is high.
func (m *machine) lit(t *testing.T, register uint64, line uint) float64 {
	t.Helper()
	high := 0
	const samples = 60
	for range samples {
		if m.register(t, register)>>line&1 == 1 {
			high++
		}
		time.Sleep(37 * time.Millisecond) // apart from any pattern's period
	}
	return float64(high) / samples
}

// register reads a word of the machine's memory through the monitor.
func (m *machine) register(t *testing.T, address uint64) uint64 {
	t.Helper()
	c, err := net.Dial("unix", m.qmp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(await.Bound))
	d := json.NewDecoder(c)
	var greeting any
	if err := d.Decode(&greeting); err != nil {
		t.Fatal(err)
	}
	ask := func(command string) (answer struct {
		Return any `json:"return"`
	}) {
		if _, err := io.WriteString(c, command); err != nil {
			t.Fatal(err)
		}
		for answer.Return == nil { // events come in between
			if err := d.Decode(&answer); err != nil {
				t.Fatal(err)
			}
		}
		return answer
	}
	ask(`{"execute":"qmp_capabilities"}`)
	text, _ := ask(fmt.Sprintf(`{"execute":"human-monitor-command","arguments":{"command-line":"xp /1wx %#x"}}`,
		address)).Return.(string)
	_, value, _ := strings.Cut(text, ": 0x")
	n, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
	if err != nil {
		t.Fatalf("the monitor says %q: %v", text, err)
	}
	return n
}

// lines collects what the console showed.
type lines struct {
	mu  sync.Mutex
	b   bytes.Buffer
	tap io.Writer // takes what is shown from now on, too
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tap != nil {
		_, _ = l.tap.Write(p) // a terminal that is closed loses nothing
	}
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
