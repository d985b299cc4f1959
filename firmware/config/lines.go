package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines maps each key and table of a document, written as "link.rate" or
// "mqtt[1].broker", to the line it stands on.
type lines map[string]int

// of returns the line of a key. Where that is unknown, because the key is absent or in an
// inline table, it is the line of the table, or else 1.
func (l lines) of(a tablePath, key string) int {
	table := string(a)
	array, _, _ := strings.Cut(table, "[")
	for _, path := range []string{a.key(key), table, array} {
		if n, ok := l[path]; ok {
			return n
		}
	}
	return 1
}

// findLines walks a document, which must be valid TOML.
func findLines(document []byte) lines {
	found := lines{}
	seen := map[string]int{} // tables of an array so far
	table := tablePath("")
	var p unstable.Parser
	p.Reset(document)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = tablePath(found.enter(&p, e, ""))
		case unstable.ArrayTable:
			name := found.enter(&p, e, "")
			table = tablePath(fmt.Sprintf("%s[%d]", name, seen[name]))
			seen[name]++
			found[string(table)] = found[name]
		case unstable.KeyValue:
			found.enter(&p, e, table)
		}
	}
	return found
}

// enter records the line of each part of a dotted key and returns its full path.
func (l lines) enter(p *unstable.Parser, e *unstable.Node, path tablePath) string {
	for it := e.Key(); it.Next(); {
		path = tablePath(path.key(string(it.Node().Data)))
		l[string(path)] = p.Shape(it.Node().Raw).Start.Line
	}
	return string(path)
}
