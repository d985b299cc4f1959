package archtest

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	target   = regexp.MustCompile("(?:^|`)make ([a-z][a-z-]*)")
	targets  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	link     = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`) // to a file; addresses have a colon
)

// CheckDocuments returns what the Markdown documents below root name and the tree does
// not have: tests by their name, files by a link, targets of make. One line each.
func CheckDocuments(root fs.FS) ([]string, error) {
	documents, tests := map[string]string{}, map[string]bool{}
	made, err := makeTargets(root)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || len(name) > 1 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		document := path.Ext(p) == ".md"
		if !document && !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		if document {
			documents[p] = string(text)
		}
		for _, found := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[found[1]] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, p := range slices.Sorted(maps.Keys(documents)) {
		for number, line := range strings.Split(documents[p], "\n") {
			for _, name := range testName.FindAllString(line, -1) {
				if !tests[name] {
					faults = append(faults, fmt.Sprintf("%s:%d: no test is named %s", p, number+1, name))
				}
			}
			for _, found := range target.FindAllStringSubmatch(line, -1) {
				if !made[found[1]] {
					faults = append(faults, fmt.Sprintf("%s:%d: make has no target %s", p, number+1, found[1]))
				}
			}
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				if _, err := fs.Stat(root, path.Join(path.Dir(p), found[1])); err != nil {
					faults = append(faults, fmt.Sprintf("%s:%d: a link to %s, which is not there", p, number+1,
						found[1]))
				}
			}
		}
	}
	return faults, nil
}

// makeTargets returns the targets of the Makefile in root.
func makeTargets(root fs.FS) (map[string]bool, error) {
	makefile, err := fs.ReadFile(root, "Makefile")
	made := map[string]bool{}
	for _, found := range targets.FindAllStringSubmatch(string(makefile), -1) {
		made[found[1]] = true
	}
	return made, err
}
