package boardcheck

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Words of a flattened device tree (Devicetree Specification 0.4, chapter 5).
const (
	treeMagic    = 0xD00DFEED
	treeBegin    = 1
	treeEnd      = 2
	treeProperty = 3
	treeNothing  = 4
	treeFinish   = 9
)

// node is a node of a device tree.
type node struct {
	name     string
	values   map[string][]byte
	children []*node
}

// parse reads a flattened device tree.
func parse(b []byte) (*node, error) {
	if len(b) < 40 || binary.BigEndian.Uint32(b) != treeMagic {
		return nil, errors.New("not a device tree")
	}
	word := func(at uint32) uint32 { return binary.BigEndian.Uint32(b[4*at:]) }
	structure, names := word(2), word(3)
	if int(structure) > len(b) || int(names) > len(b) {
		return nil, errors.New("a device tree that was cut off")
	}
	r := &reader{b: b[structure:], names: b[names:]}
	if r.word() != treeBegin {
		return nil, errors.New("a device tree without a root")
	}
	return r.node()
}

type reader struct{ b, names []byte }

// word takes the next word; the end of the tree when there is none.
func (r *reader) word() uint32 {
	if len(r.b) < 4 {
		return treeFinish
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// bytes takes a value, which is padded to whole words.
func (r *reader) bytes(n int) ([]byte, error) {
	padded := (n + 3) &^ 3
	if n < 0 || padded > len(r.b) {
		return nil, errors.New("a value that was cut off")
	}
	v := r.b[:n]
	r.b = r.b[padded:]
	return v, nil
}

// node reads a node whose first word has been taken.
func (r *reader) node() (*node, error) {
	name, err := r.bytes(bytes.IndexByte(r.b, 0) + 1)
	if err != nil || len(name) == 0 {
		return nil, errors.New("a node without a name")
	}
	n := &node{name: string(name[:len(name)-1]), values: map[string][]byte{}}
	for {
		switch word := r.word(); word {
		case treeBegin:
			child, err := r.node()
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, child)
		case treeProperty:
			length, at := int(r.word()), int(r.word())
			value, err := r.bytes(length)
			if err != nil || at > len(r.names) {
				return nil, errors.New("a property that was cut off")
			}
			name, _, _ := bytes.Cut(r.names[at:], []byte{0})
			n.values[string(name)] = slices.Clone(value)
		case treeNothing:
		case treeEnd:
			return n, nil
		default:
			return nil, fmt.Errorf("word %d in the node %q", word, n.name)
		}
	}
}

// child returns the child of a name, or nil.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// at returns the node of an absolute path, or nil.
func (n *node) at(path string) *node {
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name != "" && n != nil {
			n = n.child(name)
		}
	}
	return n
}

// all yields every node with its path.
func (n *node) all(yield func(path string, n *node)) { n.below("", yield) }

func (n *node) below(path string, yield func(string, *node)) {
	yield(path, n)
	for _, c := range n.children {
		c.below(path+"/"+c.name, yield)
	}
}

// text returns a property's first string.
func (n *node) text(property string) string {
	if n == nil {
		return ""
	}
	s, _, _ := strings.Cut(string(n.values[property]), "\x00")
	return s
}

// texts returns a property's strings.
func (n *node) texts(property string) []string {
	if n == nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(n.values[property]), "\x00"), "\x00")
}

// cells returns a property's words.
func (n *node) cells(property string) (list []uint32) {
	if n == nil {
		return nil
	}
	for b := n.values[property]; len(b) >= 4; b = b[4:] {
		list = append(list, binary.BigEndian.Uint32(b))
	}
	return list
}

// labelled returns the path of the node with a label, and the node, or nil.
func (n *node) labelled(label string) (string, *node) {
	path := n.child("__symbols__").text(label)
	if path == "" {
		return "", nil
	}
	return path, n.at(path)
}

// handle returns the phandle of a node, or 0.
func (n *node) handle() uint32 {
	if c := n.cells("phandle"); len(c) == 1 {
		return c[0]
	}
	return 0
}

// byHandle returns the node that a phandle means, or nil.
func (n *node) byHandle(handle uint32) (found *node) {
	n.all(func(_ string, at *node) {
		if handle != 0 && at.handle() == handle {
			found = at
		}
	})
	return found
}

// enabled says what of a path is switched off, or "": a node works when it and
// everything above it does (Devicetree Specification 0.4, 2.3.4).
func (n *node) enabled(path string) string {
	at, so := n, ""
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if at = at.child(name); at == nil {
			return path + " is not there"
		}
		so += "/" + name
		if status, ok := at.values["status"]; ok && string(status) != "okay\x00" && string(status) != "ok\x00" {
			return so + " is " + at.text("status")
		}
	}
	return ""
}

// String shows a tree so that two can be compared.
func (n *node) String() string {
	var b strings.Builder
	n.all(func(path string, n *node) {
		for _, name := range slices.Sorted(maps.Keys(n.values)) {
			fmt.Fprintf(&b, "%s %s %q\n", path, name, n.values[name])
		}
	})
	lines := strings.SplitAfter(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
