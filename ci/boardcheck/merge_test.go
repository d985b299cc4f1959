package boardcheck

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of Devicetree's overlays (dtc, Documentation/dt-object-internal.txt), and of
// what the Raspberry Pi firmware adds: parameters, and fragments that are off.
const (
	overrides  = "__overrides__"
	merged     = "__overlay__"
	notMerged  = "__dormant__"
	symbols    = "__symbols__"
	external   = "__fixups__"
	internal   = "__local_fixups__"
	unresolved = 0xFFFFFFFF
)

// merge applies an overlay to a tree, as the firmware does. The overlay is changed.
func merge(base, overlay *node) error {
	if err := renumber(base, overlay); err != nil {
		return err
	}
	if err := resolve(base, overlay); err != nil {
		return err
	}
	var own, others []*node // fragments that aim at the overlay itself come first
	for _, f := range overlay.children {
		if !strings.HasPrefix(f.name, "fragment@") || f.child(merged) == nil {
			continue
		}
		if t := f.cells("target"); len(t) == 1 && overlay.byHandle(t[0]) != nil {
			own = append(own, f)
		} else {
			others = append(others, f)
		}
	}
	for _, f := range own {
		f.child(merged).into(overlay.byHandle(f.cells("target")[0]))
	}
	for _, f := range others {
		if err := fragment(base, overlay, f); err != nil {
			return err
		}
	}
	return nil
}

// fragment merges one fragment, with the labels of what is in it.
func fragment(base, overlay, f *node) error {
	path := f.text("target-path")
	if alias := base.child("aliases").text(path); path != "" && path[0] != '/' {
		path = alias
	}
	if t := f.cells("target"); len(t) == 1 {
		path = ""
		base.all(func(at string, n *node) {
			if n.handle() == t[0] {
				path = at
			}
		})
	}
	target := base.at(path)
	if path == "" || target == nil {
		return fmt.Errorf("%s has no target", f.name)
	}
	f.child(merged).into(target)
	inside := "/" + f.name + "/" + merged
	if from, to := overlay.child(symbols), base.child(symbols); from != nil && to != nil {
		for label := range from.values {
			if rest, ok := strings.CutPrefix(from.text(label), inside); ok && (rest == "" || rest[0] == '/') {
				to.values[label] = []byte(path + rest + "\x00")
			}
		}
	}
	return nil
}

// into copies properties and children over those of another node.
func (n *node) into(target *node) {
	for name, value := range n.values {
		if name != "phandle" || target.values[name] == nil {
			target.values[name] = value
		}
	}
	for _, c := range n.children {
		same := target.child(c.name)
		if same == nil {
			same = &node{name: c.name, values: map[string][]byte{}}
			target.children = append(target.children, same)
		}
		c.into(same)
	}
}

// renumber moves the overlay's own phandles behind those of the tree.
func renumber(base, overlay *node) error {
	var last uint32
	base.all(func(_ string, n *node) { last = max(last, n.handle()) })
	overlay.all(func(_ string, n *node) {
		if h := n.handle(); h != 0 {
			n.values["phandle"] = binary.BigEndian.AppendUint32(nil, h+last)
		}
	})
	fixups := overlay.child(internal)
	if fixups == nil {
		return nil
	}
	var failed error
	fixups.all(func(path string, n *node) {
		for property := range n.values {
			value := overlay.at(path).property(property)
			for _, at := range n.cells(property) {
				if int(at)+4 > len(value) {
					failed = fmt.Errorf("%s of %s has no phandle at %d", property, path, at)
					return
				}
				binary.BigEndian.PutUint32(value[at:], binary.BigEndian.Uint32(value[at:])+last)
			}
		}
	})
	return failed
}

func (n *node) property(name string) []byte {
	if n == nil {
		return nil
	}
	return n.values[name]
}

// resolve puts the phandles of the tree's labels where the overlay names them.
func resolve(base, overlay *node) error {
	fixups := overlay.child(external)
	if fixups == nil {
		return nil
	}
	for label := range fixups.values {
		_, target := base.labelled(label)
		if target == nil || target.handle() == 0 {
			return fmt.Errorf("the tree has no label %s", label)
		}
		for _, place := range fixups.texts(label) {
			part := strings.Split(place, ":")
			if len(part) != 3 {
				return fmt.Errorf("%s: %q is not path:property:offset", label, place)
			}
			value := overlay.at(part[0]).property(part[1])
			at, err := strconv.Atoi(part[2])
			if err != nil || at < 0 || at+4 > len(value) || binary.BigEndian.Uint32(value[at:]) != unresolved {
				return fmt.Errorf("%s: nothing to resolve at %s", label, place)
			}
			binary.BigEndian.PutUint32(value[at:], target.handle())
		}
	}
	return nil
}

// set applies a parameter to a tree or, before it is merged, to an overlay. It knows
// the forms that our images use and refuses others.
func set(tree *node, name, value string) error {
	declared := tree.child(overrides).property(name)
	if declared == nil {
		return fmt.Errorf("there is no parameter %q", name)
	}
	for len(declared) > 0 {
		if len(declared) < 5 {
			return fmt.Errorf("parameter %q was cut off", name)
		}
		handle := binary.BigEndian.Uint32(declared)
		rest := declared[4:]
		end := slices.Index(rest, 0)
		if end < 0 {
			return fmt.Errorf("parameter %q has no end", name)
		}
		what := string(rest[:end])
		declared = rest[end+1:]
		if err := apply(tree, handle, what, value); err != nil {
			return fmt.Errorf("parameter %q: %v", name, err)
		}
	}
	return nil
}

// apply does one thing that a parameter stands for.
func apply(tree *node, handle uint32, what, value string) error {
	if handle == 0 {
		number, ok := strings.CutPrefix(what, "+")
		f := tree.child("fragment@" + number)
		if !ok || f == nil || f.child(notMerged) == nil {
			return fmt.Errorf("%q is not a fragment that is off", what)
		}
		f.child(notMerged).name = merged
		return nil
	}
	n := tree.byHandle(handle)
	if n == nil || strings.ContainsAny(what, ":;.#{=[!") {
		return fmt.Errorf("%q is not understood", what)
	}
	on := value == "" || value == "on"
	switch name, isFlag := strings.CutSuffix(what, "?"); {
	case isFlag && on:
		n.values[name] = []byte{}
	case isFlag:
		delete(n.values, name)
	case what == "status" && on:
		n.values[what] = []byte("okay\x00")
	case what == "status":
		n.values[what] = []byte("disabled\x00")
	default:
		n.values[what] = []byte(value + "\x00")
	}
	return nil
}
