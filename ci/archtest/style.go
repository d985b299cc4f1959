package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// The bounds of what a reader has to take in at once.
const (
	maxLines   = 500 // of a file that is not a test
	maxBody    = 60  // lines of a function that is not a test
	maxMain    = 175 // of a composition root: what a role does is in a package that tests reach
	maxMainRX  = 235 // it also names the servers of OPC UA
	maxColumns = 120
	maxResults = 3
	tabColumns = 4
)

// checkColumns finds lines that do not fit. Struct tags and other raw strings cannot
// be broken.
func checkColumns(s source) (faults []string) {
	raw := map[int]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value[0] == '`' {
			for line := s.line(lit.Pos()); line <= s.line(lit.End()); line++ {
				raw[line] = true
			}
		}
		return true
	})
	number := 0
	for line := range strings.Lines(string(s.text)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		columns := utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
		if columns > maxColumns && !raw[number] {
			faults = append(faults, fmt.Sprintf("%s:%d: %d columns; break the line at %d", s.path, number, columns,
				maxColumns))
		}
	}
	return faults
}

// checkBodies finds functions that do not fit on a screen.
func checkBodies(s source) (faults []string) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := s.line(f.End()) - s.line(f.Pos()) + 1; lines > maxBody {
			faults = append(faults, fmt.Sprintf("%s:%d: %s has %d lines; split it below %d", s.path, s.line(f.Pos()),
				f.Name.Name, lines, maxBody))
		}
	}
	return faults
}

// checkResults finds functions that return too much to be read at their call.
func checkResults(s source) (faults []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncType)
		if !ok || f.Results.NumFields() <= maxResults {
			return true
		}
		faults = append(faults, fmt.Sprintf("%s:%d: a function with %d results; return a struct",
			s.path, s.line(f.Pos()), f.Results.NumFields()))
		return true
	})
	return faults
}

// rooms are the folders of firmware: no package stands beside them.
func rooms() []string {
	return []string{"cmd", "conduit", "config", "mqtt", "opcua", "platform", "rx", "tx"}
}

// word is a word that this tree does not use, and the one that it uses.
type word struct {
	pattern *regexp.Regexp
	instead string
}

// wordList compiles the words once.
var wordList = sync.OnceValue(words)

// words are those of an earlier private language. A comment or a text of a program
// says the word of OPC 10000-4, MQTT 5, RFC 5424 or the Linux man pages instead.
func words() []word {
	var out []word
	for _, w := range []struct {
		pattern, instead string
	}{
		{`tardy`, "late"},
		{`heed(s|ed)?`, "index, obey"},
		{`confess(es|ed)?`, "report"},
		{`winks?|winked|winking`, "blink"},
		{`mend(s|ed)?`, "fix, repair"},
		{`believ(e|es|ed)`, "accept, trust, expect"},
		{`hears?|heard|overheard`, "receive"},
		{`speaks?|spoke`, "send, support a protocol"},
		{`bears?|borne`, "endure, carry"},
		{`whoever|whosoever`, "the caller, any client"},
		{`patience|patient|patiently`, "timeout"},
		{`lookers?`, "reader, client"},
		{`desks?`, "console server"},
		{`ghosts?`, "placeholder"},
		{`graves?|bury|buried`, "tombstone"},
		{`goes round`, "makes progress"},
		{`sent away`, "closed, disconnected"},
		{`anew`, "again"},
		{`nobody`, "no one, no client"},
		{`pictures?`, "snapshot"},
		{`told`, "informed, reported"},
		{`whatever`, "any"},
	} {
		out = append(out, word{regexp.MustCompile(`(?i)\b(` + w.pattern + `)\b`), w.instead})
	}
	return out
}

var (
	jsonTag = regexp.MustCompile(`json:"[^"]*"`) // a name in a file or a protocol stays
	hump    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	initial = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// checkWords finds them in comments, texts and names.
func checkWords(s source) (faults []string) {
	list := wordList()
	find := func(n ast.Node, text string) {
		for _, w := range list {
			if found := w.pattern.FindString(text); found != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %q: say %s", s.path, s.line(n.Pos()), found, w.instead))
			}
		}
	}
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			find(c, c.Text)
		}
	}
	names := map[string]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				find(n, jsonTag.ReplaceAllString(n.Value, ""))
			}
		case *ast.Ident:
			if !names[n.Name] {
				names[n.Name] = true
				find(n, initial.ReplaceAllString(hump.ReplaceAllString(n.Name, "$1 $2"), "$1 $2"))
			}
		}
		return true
	})
	return faults
}
