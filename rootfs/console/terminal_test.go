package console

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// terminals are such as answer SizeQuery, or do not.
func TestTerminalsAreAskedForTheirSize(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   Size
	}{
		"xterm":                     {"\x1b[8;50;132t\x1b[50;132R", Size{132, 50}},
		"cursor only":               {"\x1b[43;100R", Size{100, 43}},
		"says nothing":              {"", Size{80, 24}},
		"echoes":                    {SizeQuery, Size{80, 24}},
		"tiny":                      {"\x1b[8;2;9t", Size{80, 24}},
		"huge":                      {"\x1b[8;99999;99999t", Size{400, 200}},
		"not a number":              {"\x1b[8;x;132t", Size{80, 24}},
		"an arrow key, and then it": {"\x1b[A\x1b[8;50;132t", Size{132, 50}},
		"too long":                  {"\x1b[" + strings.Repeat("8", 100) + "\x1b[8;50;132t", Size{132, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c1 := New(&fake{status: crowded()}, &out)
			c1.Key('s')
			if out.String() != SizeQuery {
				t.Fatalf("got %q at first, want the query alone", out.String())
			}
			out.Reset()
			press(c1, c.answer)
			got := strings.ReplaceAll(strings.TrimPrefix(out.String(), SizeQuery), "\r\n", "\n")
			columns := c.want.Columns - 1
			keys := Help(columns)
			want := Screen(crowded(), Size{c.want.Columns, c.want.Lines - 2 - strings.Count(keys, "\n")}) + keys + "\n"
			if !strings.HasPrefix(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestATerminalThatDoesNotAnswerIsLeftAloneForAMinute(t *testing.T) {
	var out bytes.Buffer
	c := New(&fake{status: rx()}, &out)
	at := time.Unix(1000, 0)
	c.now = func() time.Time { return at }
	var asked []bool
	for _, pause := range []time.Duration{time.Second, time.Second, time.Second, time.Second, leftAlone} {
		at = at.Add(pause)
		out.Reset()
		c.Key('s')
		asked = append(asked, strings.HasPrefix(out.String(), SizeQuery))
		if due := c.Due(); !due.IsZero() {
			at = due
			c.Expire()
		}
		if !strings.Contains(out.String(), "STATE") {
			t.Errorf("got %q, want the status", out.String())
		}
	}
	if want := []bool{true, true, false, false, true}; !slices.Equal(asked, want) {
		t.Errorf("got asked %v, want %v", asked, want)
	}
}

func TestAKeyDoesNotWaitForTheTerminal(t *testing.T) {
	var out bytes.Buffer
	c := New(&fake{status: rx(), log: []string{"a line"}}, &out)
	c.Key('s')
	c.Key('l')
	if got := out.String(); !strings.Contains(got, "STATE") || strings.Contains(got, "a line") {
		t.Errorf("got %q, want the status, and the log waiting for the answer", got)
	}
}

func TestEscapeIsAKeyAndTheBeginOfASequence(t *testing.T) {
	for name, c := range map[string]struct {
		keys string
		want string // where the hostname's question stands then
	}{
		"a key":                      {"nab\x1b", "cancelled; nothing changed"},
		"a key, and the next":        {"nab\x1bs", "cancelled; nothing changed"},
		"an arrow":                   {"nab\x1b[Dc\r", "interface [eth0]: "},
		"the terminal's late answer": {"na\x1b[8;50;132tb\r", "interface [eth0]: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c1 := New(&fake{status: rx(), net: Network{"h", "eth0", "10.0.0.2/24", "", ""}}, &out)
			press(c1, c.keys)
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for name, c := range map[string]struct {
		text          string
		width, indent int
		want          string
	}{
		"short":                {"a b", 10, 2, "a b"},
		"between words":        {"one two three four", 9, 2, "one two|  three|  four"},
		"exactly":              {"one two three", 7, 0, "one two|three"},
		"a long word":          {"abcdefghij", 4, 1, "abcd| efg| hij"},
		"a long word in words": {"a abcdefghij b", 5, 0, "a|abcde|fghij|b"},
		"no room for indents":  {"a b", 1, 9, "a|b"},
		"nothing":              {"", 5, 0, ""},
	} {
		if got := strings.Join(Wrap(c.text, c.width, c.indent), "|"); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// Every text comes back, in lines of the width.
func FuzzWrap(f *testing.F) {
	f.Add("one two three", 5, 2)
	f.Fuzz(func(t *testing.T, text string, width, indent int) {
		text = strings.ReplaceAll(Printable(text), "\n", " ")
		width &= 0xff
		var back []string
		for _, line := range Wrap(text, width, indent) {
			if len(line) > max(width, 1) {
				t.Fatalf("got a line of %d characters, want at most %d", len(line), width)
			}
			back = append(back, line)
		}
		squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := squeeze(strings.Join(back, "")); got != squeeze(text) {
			t.Fatalf("got %q of %q", got, text)
		}
	})
}
