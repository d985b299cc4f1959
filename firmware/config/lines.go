package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines maps each key and table of a document, written as "link.rate" or
// "mqtt[1].broker", to the line it stands on.
type lines map[string]int

// of returns the line of a key; where that is unknown (a key left out, or one
// within an inline table) the line of its table, and at last 1.
func (l lines) of(a at, key string) int {
	table := string(a)
	array, _, _ := strings.Cut(table, "[")
	for _, path := range []string{a.key(key), table, array} {
		if n, ok := l[path]; ok {
			return n
		}
	}
	return 1
}

// findLines walks a document that is known to be well-formed TOML.
func findLines(document []byte) lines {
	found := lines{}
	seen := map[string]int{} // tables of an array so far
	table := at("")
	var p unstable.Parser
	p.Reset(document)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = at(found.enter(&p, e, ""))
		case unstable.ArrayTable:
			name := found.enter(&p, e, "")
			table = at(fmt.Sprintf("%s[%d]", name, seen[name]))
			seen[name]++
			found[string(table)] = found[name]
		case unstable.KeyValue:
			found.enter(&p, e, table)
		}
	}
	return found
}

// enter notes the line of each part of a dotted key and returns its whole path.
func (l lines) enter(p *unstable.Parser, e *unstable.Node, path at) string {
	for it := e.Key(); it.Next(); {
		path = at(path.key(string(it.Node().Data)))
		l[string(path)] = p.Shape(it.Node().Raw).Start.Line
	}
	return string(path)
}
