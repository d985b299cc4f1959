package main

import (
	"errors"
	"fmt"
	"go/ast"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"heliograph/firmware/platform/audit"
)

// events is the section of the audit trail.
func events(string) (string, error) {
	var rows [][]string
	for _, k := range audit.Kinds() {
		rows = append(rows, []string{code(k.Event), string(k.Category), string(k.Result), cell(k.Meaning)})
	}
	return "## Audit events\n\nThe field `event` of `notes` in `/status.json`, and of forwarded lines. Category and " +
		"result follow from it.\n\n" +
		table([]string{"event", "category", "result", "meaning"}, rows), nil
}

// exitCodes is the section of the programs' exit codes.
func exitCodes(source string) (string, error) {
	p, err := parsePackage(filepath.Join(source, "firmware/platform/role"))
	if err != nil {
		return "", err
	}
	var rows [][]string
	for _, f := range p.files {
		for n := range ast.Preorder(f) {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || spec.Comment == nil {
				continue
			}
			number, ok := spec.Values[0].(*ast.BasicLit)
			if ok && slices.Contains([]string{"OK", "Failure", "Usage", "Invalid"}, spec.Names[0].Name) {
				rows = append(rows, []string{number.Value, cell(strings.TrimSpace(spec.Comment.Text()))})
			}
		}
	}
	if len(rows) != 4 {
		return "", fmt.Errorf("found %d exit codes in package role, want 4 with a comment", len(rows))
	}
	return "## Exit codes\n\nThose of heliotx, heliorx and heliograph.\n\n" +
		table([]string{"code", "meaning"}, rows), nil
}

var (
	patternLine = regexp.MustCompile(`^\t(\w+) {2,}(\S.*?) {2,}(.+)$`)
	patternMore = regexp.MustCompile(`^\t {20,}(.+)$`)
)

// led is the section of the heartbeat LED, from the comment of package health.
func led(source string) (string, error) {
	p, err := parsePackage(filepath.Join(source, "firmware/platform/health"))
	if err != nil {
		return "", err
	}
	states := map[string]string{}
	comment := ""
	for _, f := range p.files {
		comment += f.Doc.Text()
		for n := range ast.Preorder(f) {
			if spec, ok := n.(*ast.ValueSpec); ok && nameOf(spec.Type) == "State" {
				states[spec.Names[0].Name], _ = text(spec.Values[0])
			}
		}
	}
	var rows [][]string
	for line := range strings.Lines(comment) {
		line = strings.TrimRight(line, "\n")
		if m := patternLine.FindStringSubmatch(line); m != nil && states[m[1]] != "" {
			rows = append(rows, []string{cell(m[2]), code(states[m[1]]), cell(m[3])})
		} else if m := patternMore.FindStringSubmatch(line); m != nil && len(rows) > 0 {
			rows[len(rows)-1][2] += " " + cell(m[1])
		} else if name := strings.Fields(line); len(name) > 2 && states[name[0]] != "" && line[0] == '\t' {
			_, pattern, _ := strings.Cut(line, name[0])
			rows = append(rows, []string{cell(strings.TrimSpace(pattern)), code(states[name[0]]), "all is well"})
		}
	}
	if len(rows) != len(states) {
		return "", errors.New("the comment of package health does not list the pattern of every state")
	}
	return "## LED\n\nThe heartbeat LED repeats the pattern of the worst state that applies; the console has it in " +
		"words.\n\n" +
		table([]string{"pattern", "state", "meaning"}, rows), nil
}
