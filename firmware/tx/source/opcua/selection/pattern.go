package selection

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/config/pattern"
	"heliograph/firmware/opcua/rawvalue"
)

// Patterns are an operator's include and exclude patterns.
type Patterns struct {
	steps            []step // of all path patterns, one after the other
	starts           []int  // where each begins
	include, exclude []rawvalue.NodeID
	includes         bool // there are include patterns
}

// step is one name of a pattern, or its end.
type step struct {
	glob  string
	any   bool // "**"
	final bool
	drop  bool // of an exclude pattern; at the end
}

// Parse reads patterns, as package pattern describes them.
func Parse(include, exclude []string) (*Patterns, error) {
	p := &Patterns{includes: len(include) > 0}
	for _, s := range include {
		if err := p.add(s, false); err != nil {
			return nil, fmt.Errorf("selection: include pattern %q: %v", s, err)
		}
	}
	for _, s := range exclude {
		if err := p.add(s, true); err != nil {
			return nil, fmt.Errorf("selection: exclude pattern %q: %v", s, err)
		}
	}
	if p.includes { // what every client needs to make sense of the rest
		p.include = append(p.include, rawvalue.NodeID{Number: id.TypesFolder},
			rawvalue.NodeID{Number: id.Server})
	}
	if err := pattern.TooMany(len(p.steps) - len(p.starts)); err != nil { // each has an end
		return nil, fmt.Errorf("selection: %v", err)
	}
	return p, nil
}

func (p *Patterns) add(s string, drop bool) error {
	read, err := pattern.Parse(s)
	if err != nil {
		return err
	}
	if read.Node != nil {
		node, err := rawvalue.FromUA(read.Node)
		if err != nil {
			return err
		}
		if drop {
			p.exclude = append(p.exclude, node)
		} else {
			p.include = append(p.include, node)
		}
		return nil
	}
	p.starts = append(p.starts, len(p.steps))
	for _, glob := range read.Names {
		p.steps = append(p.steps, step{glob: glob, any: glob == "**"})
	}
	p.steps = append(p.steps, step{final: true, drop: drop})
	return nil
}

// None reports that there are no patterns, so that names need not be known.
func (p *Patterns) None() bool {
	return len(p.steps) == 0 && len(p.include) == 0 && len(p.exclude) == 0
}

// Excludes reports that there are exclude patterns, so that a node may cross only when
// all paths to it are known.
func (p *Patterns) Excludes() bool {
	return len(p.exclude) > 0 || slices.ContainsFunc(p.steps, func(s step) bool { return s.drop })
}

// states is a set of positions in the patterns.
type states []uint64

func (s states) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s states) add(i int)      { s[i/64] |= 1 << (i % 64) }

// enter adds a position, and the one behind a "**", which also matches no name.
func (p *Patterns) enter(s states, at int) {
	s.add(at)
	if p.steps[at].any {
		p.enter(s, at+1)
	}
}

// next returns where a name leads from s.
func (p *Patterns) next(s states, name rawvalue.QualifiedName) states {
	plain := string(name.Name)
	full := strconv.Itoa(int(name.Namespace)) + ":" + plain
	to := make(states, len(s))
	for i, st := range p.steps {
		if !s.has(i) || st.final {
			continue
		}
		if st.any {
			p.enter(to, i)
		} else if matches(st.glob, plain) || matches(st.glob, full) {
			p.enter(to, i+1)
		}
	}
	return to
}

// matches lets a name hold a slash, which path.Match gives a meaning of its own.
func matches(glob, name string) bool {
	ok, _ := path.Match(glob, strings.ReplaceAll(name, "/", "\\"))
	return ok || glob == name
}

// Select returns which nodes cross.
func (p *Patterns) Select(g *Graph) []bool {
	down := g.down()
	stopped, wanted := g.sessions(), make([]bool, g.Len())
	p.walk(g, down, stopped, wanted)
	g.flood(g.known(p.include), down, wanted, nil)
	g.flood(g.known(p.exclude), down, stopped, nil)
	// What only stopped nodes lead to goes with them; what no path leads to stays.
	placed, reached := make([]bool, g.Len()), make([]bool, g.Len())
	root := g.known([]rawvalue.NodeID{{Number: id.RootFolder}})
	g.flood(root, down, placed, nil)
	g.flood(root, down, reached, stopped)
	for i := range stopped {
		stopped[i] = stopped[i] || placed[i] && !reached[i]
	}
	if p.includes {
		g.onTheWay(down, stopped, wanted)
	}
	keep := make([]bool, g.Len())
	for i := range keep {
		keep[i] = !stopped[i] && (!p.includes || wanted[i])
	}
	return keep
}

// walk runs all path patterns over all paths from the root: each node collects
// the positions at which a path may stand there, until none is new.
func (p *Patterns) walk(g *Graph, down, stopped, wanted []bool) {
	root, ok := g.index[rawvalue.NodeID{Number: id.RootFolder}]
	if !ok || len(p.steps) == 0 {
		return
	}
	at := make([]states, g.Len())
	words := (len(p.steps) + 63) / 64
	at[root] = make(states, words)
	for _, s := range p.starts {
		p.enter(at[root], s)
	}
	for queue := []Index{root}; len(queue) > 0; {
		i := queue[0]
		queue = queue[1:]
		for _, e := range g.edges[i] {
			if !e.leads(down) {
				continue
			}
			to := p.next(at[i], g.name(e.target))
			if at[e.target] == nil {
				at[e.target] = make(states, words)
			}
			if at[e.target].merge(to) {
				queue = append(queue, e.target)
			}
		}
	}
	for i, s := range at {
		for n, st := range p.steps {
			if s != nil && st.final && s.has(n) {
				stopped[i] = stopped[i] || st.drop
				wanted[i] = wanted[i] || !st.drop
			}
		}
	}
}

// merge adds o and reports whether anything was new.
func (s states) merge(o states) (grew bool) {
	for i := range s {
		grew = grew || o[i]&^s[i] != 0
		s[i] |= o[i]
	}
	return grew
}

// onTheWay marks the nodes over which a wanted one is reached.
func (g *Graph) onTheWay(down, stopped, wanted []bool) {
	parents := make([][]Index, g.Len())
	for i := range g.edges {
		for _, e := range g.edges[i] {
			if e.leads(down) && !stopped[i] {
				parents[e.target] = append(parents[e.target], Index(i))
			}
		}
	}
	var queue []Index
	for i, w := range wanted {
		if w && !stopped[i] {
			queue = append(queue, Index(i))
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, up := range parents[i] {
			if !wanted[up] {
				wanted[up] = true
				queue = append(queue, up)
			}
		}
	}
}
