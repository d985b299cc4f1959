package form

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"heliograph/tools/initial"
)

func dialogue(input string) (Dialogue, *strings.Builder) {
	out := &strings.Builder{}
	return Dialogue{In: bufio.NewReader(strings.NewReader(input)), Out: out}, out
}

func TestADialogueTakesAnswersLineByLine(t *testing.T) {
	for name, c := range map[string]struct {
		page  initial.Page
		input string
		have  initial.Answers
		want  func(initial.Answers) bool
		shown string
	}{
		"suggestions": {initial.PagePair, "\n\n", initial.Answers{},
			func(a initial.Answers) bool { return a.Pair == "press-hall" && a.Board == "host" },
			"Name of the pair [press-hall]: "},
		"an option by number": {initial.PagePair, "hall\n2\n", initial.Answers{},
			func(a initial.Answers) bool { return a.Pair == "hall" && a.Board == "rpi4b" }, "  2  rpi4b\n"},
		"a bad answer first": {initial.PagePair, "press hall\nhall\nrpi9\nrpi5\n", initial.Answers{},
			func(a initial.Answers) bool { return a.Pair == "hall" && a.Board == "rpi5" },
			"    start with a letter or digit"},
		"none": {initial.PageListeners, "none", initial.Answers{Board: "host"},
			func(a initial.Answers) bool { return a.Syslog == "" }, "[udp://0.0.0.0:5514]"},
		"an answer that is there": {initial.PageSources, "\n\n", initial.Answers{OPCUA: "opc.tcp://x"},
			func(a initial.Answers) bool { return a.OPCUA == "opc.tcp://x" }, "[opc.tcp://x]: "},
	} {
		t.Run(name, func(t *testing.T) {
			d, out := dialogue(c.input)
			a := c.have
			if err := d.Page(t.Context(), c.page.Title(), initial.On(c.page, a), &a); err != nil {
				t.Fatal(err)
			}
			if !c.want(a) || !strings.Contains(out.String(), c.shown) {
				t.Errorf("%+v\n%s", a, out)
			}
		})
	}
}

func TestADialogueShowsNoPassword(t *testing.T) {
	d, out := dialogue("")
	d.Password = func() (string, error) { return "secret", nil }
	a := initial.Answers{OPCUA: "opc.tcp://x", OPCUALogin: initial.Login{Name: "ot", Password: "old"}}
	const page = initial.PageOPCUAPassword
	if err := d.Page(t.Context(), page.Title(), initial.On(page, a), &a); err != nil ||
		a.OPCUALogin.Password != "secret" {
		t.Error(err, a.OPCUALogin)
	}
	if strings.Contains(out.String(), "secret") || strings.Contains(out.String(), "old") {
		t.Error(out)
	}
}

func TestADialogueEndsWithItsInput(t *testing.T) {
	d, _ := dialogue("hall\n")
	a := initial.Answers{}
	page := initial.PagePair
	if err := d.Page(t.Context(), page.Title(), initial.On(page, a), &a); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	in, _ := io.Pipe() // no line ever comes
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.In = bufio.NewReader(in)
	if _, err := d.Choose(ctx, "which", []string{"a"}); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
}

func TestADialogueOffersAChoice(t *testing.T) {
	d, out := dialogue("4\n2\n\n")
	for _, want := range []int{1, 0} {
		if got, err := d.Choose(t.Context(), "which", []string{"a", "b", "c"}); got != want || err != nil {
			t.Error(got, err)
		}
	}
	if !strings.Contains(out.String(), "  3  c\n") || !strings.Contains(out.String(), "write a number from 1 to 3") {
		t.Error(out)
	}
}
