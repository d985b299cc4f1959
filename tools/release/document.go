package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// firstDocuments are what a user of the tool begins with, and the files that those name
// without a link. What they link comes with them.
func firstDocuments() []string {
	return []string{"README.md", "CHANGELOG.md", "SECURITY.md", "firmware/config/minimal-tx.toml",
		"firmware/config/minimal-rx.toml", "tools/wireshark/heliograph.lua"}
}

// link is one of Markdown: its text and its target.
var link = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()\s]+)\)`)

// documents returns the documents of the checkout that are of use without it, at their
// paths: the first ones, and every document and example that one of them links. A link to
// another file of the checkout becomes its text alone.
func (b *builder) documents() ([]entry, error) {
	found := map[string][]byte{}
	for next := firstDocuments(); len(next) > 0; next = next[1:] {
		name := next[0]
		if _, ok := found[name]; ok {
			continue
		}
		text, err := os.ReadFile(filepath.Join(b.source, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		found[name] = text
		if path.Ext(name) != ".md" {
			continue
		}
		linked, err := b.linked(name, text)
		if err != nil {
			return nil, err
		}
		next = append(next, linked...)
	}
	var files []entry
	for name, text := range found {
		if path.Ext(name) == ".md" {
			text = unlinked(name, text, func(target string) bool { return found[target] != nil })
		}
		files = append(files, entry{path: name, mode: 0o644, content: text})
	}
	return sorted(files), nil
}

// linked returns the documents and examples that a document links. Those of packages are
// templates.
func (b *builder) linked(name string, text []byte) (list []string, err error) {
	for _, m := range link.FindAllSubmatch(text, -1) {
		target, ok := inCheckout(name, string(m[2]))
		if !ok || !slices.Contains([]string{".md", ".toml", ".lua", ".svg", ".json", ".yaml"}, path.Ext(target)) ||
			strings.HasPrefix(target, "tools/release/packaging/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(b.source, filepath.FromSlash(target))); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s links %s, which is not there", name, m[2])
		} else if err != nil {
			return nil, err
		}
		list = append(list, target)
	}
	return list, nil
}

// inCheckout returns which file of the checkout the target of a link in a document is,
// and false for an address elsewhere and a heading of the document itself.
func inCheckout(name, target string) (string, bool) {
	target, _, _ = strings.Cut(target, "#")
	if target == "" || strings.Contains(target, ":") {
		return "", false
	}
	target = path.Join(path.Dir(name), target)
	return target, filepath.IsLocal(target)
}

// unlinked leaves links to what is there, and the text of the others.
func unlinked(name string, text []byte, there func(target string) bool) []byte {
	return link.ReplaceAllFunc(text, func(whole []byte) []byte {
		m := link.FindSubmatch(whole)
		if target, ok := inCheckout(name, string(m[2])); ok && !there(target) {
			return m[1]
		}
		return whole
	})
}
