package console

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"heliograph/firmware/platform/status"
	"heliograph/rootfs/console"
)

var update = flag.Bool("update", false, "rewrite the screens in testdata")

// watched is a screen that notes what goes to the board, and its clock.
type watched struct {
	*Screen
	sent  []byte
	files []string
	at    time.Time
}

func newWatched(width, height int) *watched {
	w := &watched{at: time.Unix(0, 0)}
	w.Screen = &Screen{device: "/dev/ttyUSB0", width: width, height: height,
		send: func(b []byte) { w.sent = append(w.sent, b...) },
		save: func(host string, b []byte) (string, error) {
			w.files = append(w.files, host+": "+string(b))
			return "file.txt", nil
		}}
	return w
}

// passes lets a second pass, and the board answer.
func (w *watched) passes(answer string) {
	w.at = w.at.Add(time.Second)
	w.Update(tick(w.at))
	if _, cmd := w.Update(arrived(answer)); cmd != nil {
		w.Update(cmd())
	}
}

func answer(t *testing.T, s console.Status) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return framed("status", string(b))
}

// minute is a board that has answered for a minute, with two bad moments.
func minute(t *testing.T, w *watched, change func(*console.Status)) {
	f := newFake()
	if change != nil {
		change(&f.status)
	}
	for i := range 60 {
		s := f.Status()
		l := &s.Report.Snapshot.Link
		if l.Lost != nil {
			*l.Repaired = uint64(i / 3)
			*l.Lost = uint64(3*(i/25) + 9*(i/50))
		}
		w.passes(answer(t, s))
	}
	w.Update(arrived("time=2026-11-24T02:13:20Z level=WARN msg=\"mqtt sink: connection refused\" part=heliorx " +
		"broker=it-broker:1883\r\nhostname [h]: pre"))
}

func TestLive(t *testing.T) {
	for _, tt := range []struct {
		name          string
		width, height int
		run           func(w *watched)
	}{
		{"asking", 80, 24, func(w *watched) { w.passes("[    0.1] kernel\r\n") }},
		{"no-answer-yet", 80, 24, func(w *watched) {
			for range 7 {
				w.passes("")
			}
		}},
		{"rx", 80, 24, func(w *watched) { minute(t, w, nil) }},
		{"rx-large", 120, 40, func(w *watched) { minute(t, w, nil) }},
		{"silent", 80, 24, func(w *watched) {
			minute(t, w, nil)
			for range 9 {
				w.passes("")
			}
		}},
		{"scrolled-back", 80, 24, func(w *watched) {
			minute(t, w, nil)
			w.Update(arrived(strings.Repeat("\r\nx", 100)))
			w.Update(tea.KeyPressMsg{Code: tea.KeyPgUp})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(tt.width, tt.height)
			tt.run(w)
			got := plain(w.String()) + "\n"
			file := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%v; got\n%s\nwant\n%s", err, got, want)
			}
			if n := strings.Count(got, "\n"); n != tt.height {
				t.Errorf("got %d lines, want %d", n, tt.height)
			}
		})
	}
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// plain has no colours, and no spaces at the end of a line.
func plain(s string) string {
	lines := strings.Split(colours.ReplaceAllString(s, ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestAsksAgainOnlyWhenThereIsNoAnswer(t *testing.T) {
	w := newWatched(80, 24)
	for range 4 {
		w.passes("")
	}
	if got := len(w.sent); got != 1 {
		t.Errorf("got %d enquiries in 4 s without an answer, want 1: a slow line takes seconds", got)
	}
	w.passes("")
	w.passes("")
	if got := len(w.sent); got != 2 {
		t.Errorf("got %d enquiries in 6 s without an answer, want 2", got)
	}
	f := newFake()
	w.passes(answer(t, f.Status()))
	w.passes(answer(t, f.Status()))
	w.passes("")
	if got := len(w.sent); got != 4 {
		t.Errorf("got %d enquiries, want one each second again", got-2)
	}
}

func TestKeysGoToTheBoard(t *testing.T) {
	w := newWatched(80, 24)
	for _, k := range []tea.Key{{Code: 'q', Text: "q"}, {Code: 'b', Text: "b"}, {Code: 'r', Text: "R"},
		{Code: tea.KeyEnter}, {Code: tea.KeyBackspace}, {Code: tea.KeyEscape}, {Code: tea.KeyUp}} {
		w.Update(tea.KeyPressMsg(k))
	}
	w.Update(tea.PasteMsg{Content: "10.0.0.2/24"})
	if got, want := string(w.sent), "qbR\r\x7f\x1b10.0.0.2/24"; got != want {
		t.Errorf("got %q sent, want %q", got, want)
	}
	if _, cmd := w.Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}); cmd == nil || cmd() != tea.Quit() {
		t.Error("Ctrl-C does not leave")
	}
}

func TestBundleIsSavedWhenItIsAskedFor(t *testing.T) {
	w := newWatched(80, 24)
	w.passes(answer(t, newFake().Status()))
	w.passes(framed("diagnostics", "uninvited"))
	w.Update(tea.KeyPressMsg{Code: 'd', Text: "d"})
	w.passes(framed("diagnostics", "asked for"))
	w.passes(framed("diagnostics", "once more"))
	if want := []string{"press-hall-rx: asked for"}; !slices.Equal(w.files, want) {
		t.Errorf("got files %q, want %q", w.files, want)
	}
	if got := plain(w.String()); !strings.Contains(got, "The bundle is in file.txt") {
		t.Errorf("got\n%s\nwant where the bundle is", got)
	}
	w.Update(tea.KeyPressMsg{Code: 'd', Text: "d"})
	w.passes(strings.Replace(framed("diagnostics", "spoilt"), " 6 ", " 7 ", 1))
	if got := plain(w.String()); !strings.Contains(got, "not saved: ") || len(w.files) != 1 {
		t.Errorf("got %q and\n%s\nwant that it was damaged", w.files, got)
	}
}

func TestPortThatIsGoneEndsIt(t *testing.T) {
	w := newWatched(80, 24)
	if _, cmd := w.Update(gone{errors.New("unplugged")}); cmd == nil || cmd() != tea.Quit() || w.gone == nil {
		t.Error("it goes on without a port")
	}
}

func TestHistoryRestartsWithBoard(t *testing.T) {
	var h history
	at := func(up time.Duration, frames, lost uint64) {
		var s console.Status
		s.Up, s.Report.Snapshot.Link = up, status.Link{Frames: frames, Lost: &lost}
		h.add(s)
	}
	at(time.Hour, 100000, 50)
	at(time.Hour+2*time.Second, 101000, 52)
	at(time.Second, 10, 0)  // the board was started again
	at(2*time.Second, 5, 0) // the role was
	at(2*time.Second, 5, 0) // the same moment
	at(4*time.Second, 1005, 1)
	list, got := h.last(10)
	if want := (sample{took: 4 * time.Second, frames: 2000, lost: 3}); got != want || len(list) != 2 {
		t.Errorf("got %+v in %d samples, want %+v in 2", got, len(list), want)
	}
}

func TestSpark(t *testing.T) {
	list := []sample{{took: time.Second}, {took: time.Second, lost: 1}, {took: 2 * time.Second, lost: 1000},
		{took: time.Second, lost: 1000}}
	if got, want := spark(list, 6, func(s sample) uint64 { return s.lost }), "  ·▁▄█"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// For any output of the board, the screen keeps its size and is text.
func FuzzLive(f *testing.F) {
	b, err := json.Marshal(newFake().status)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, "a line\x1b[2J", 80, 24)
	f.Add(b, "a line", 1, 1)
	f.Fuzz(func(t *testing.T, answer []byte, line string, width, height int) {
		width, height = width&0xff, height&0x7f
		w := newWatched(width, height)
		w.passes(framed("status", string(answer)))
		w.passes(framed("status", string(answer)) + line)
		got := plain(w.String())
		if i := strings.IndexFunc(strings.ReplaceAll(got, "\n", ""),
			func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Fatalf("got %q", got)
		}
		if n := strings.Count(got, "\n") + 1; height >= 24 && n != height {
			t.Fatalf("got %d lines, want %d", n, height)
		}
	})
}

func TestTheBoardsQuestionForTheSizeIsAnsweredAndNotShown(t *testing.T) {
	w := newWatched(132, 43)
	w.passes(answer(t, newFake().Status()))
	w.sent = nil
	for _, part := range []string{"before\r\n" + console.SizeQuery[:9], console.SizeQuery[9:] + "after\r\n"} {
		w.Update(arrived(part))
	}
	if got, want := string(w.sent), console.SizeAnswer(console.Size{Columns: 132, Lines: 43}); got != want {
		t.Errorf("got %q sent, want %q once", got, want)
	}
	if got := plain(w.String()); !strings.Contains(got, "\nbefore\nafter\n") {
		t.Errorf("got\n%s\nwant the lines without the question", got)
	}
	w.Update(tea.WindowSizeMsg{Width: 90, Height: 30})
	w.sent = nil
	w.Update(arrived(console.SizeQuery))
	if got, want := string(w.sent), console.SizeAnswer(console.Size{Columns: 90, Lines: 30}); got != want {
		t.Errorf("after another size: got %q sent, want %q", got, want)
	}
}
