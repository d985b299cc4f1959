package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	spanned = regexp.MustCompile("`(heliograph [^`]+)`")
	quoted  = regexp.MustCompile(`"(heliograph [^"]+)"`)
)

// documentFaults returns what the documents below root say of this program's commands,
// and the program does not have: one line each.
func documentFaults(root fs.FS) (faults []string, commands int, err error) {
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || len(name) > 1 && name[0] == '.') {
			return fs.SkipDir
		}
		if ext := path.Ext(p); d.IsDir() || ext != ".md" && ext != ".toml" {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		check := func(number int, command string, whole bool) {
			commands++
			if fault := commandFault(command, whole); fault != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %q: %s", p, number, command, fault))
			}
		}
		lines, fenced := strings.Split(string(text), "\n"), false
		for i, line := range lines {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			for j := i + 1; fenced && strings.HasSuffix(line, "\\") && j < len(lines); j++ {
				line = strings.TrimSuffix(line, "\\") + lines[j]
			}
			if whole := strings.TrimSpace(line); fenced && strings.HasPrefix(whole, "heliograph ") {
				check(i+1, whole, true)
			}
			for _, mark := range []*regexp.Regexp{spanned, quoted} {
				for _, found := range mark.FindAllStringSubmatch(line, -1) {
					check(i+1, found[1], false)
				}
			}
		}
		return nil
	})
	return faults, commands, err
}

// commandFault says what is wrong with a command line: with a command that does not
// exist, a flag that it does not have, or, when the line is whole, its arguments.
func commandFault(line string, whole bool) string {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " 2>")
	line, _, _ = strings.Cut(line, " <")
	args := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "&"))[1:]
	c := root()
	c.InitDefaultHelpCmd()
	c.SetOut(io.Discard)
	c, rest, err := c.Find(args)
	if err != nil {
		return err.Error()
	}
	if c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Sprintf("unknown command %q", rest[0])
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	if err := c.ParseFlags(rest); err != nil {
		value := strings.HasPrefix(err.Error(), "invalid argument") || // a placeholder
			strings.HasPrefix(err.Error(), "flag needs an argument") // the flag is named alone
		if whole || !value {
			return err.Error()
		}
	}
	left := c.Flags().Args()
	switch {
	case whole && c.HasSubCommands() && c.Flags().NFlag() == 0:
		return "needs a command"
	case whole:
		for _, err := range []error{c.ValidateArgs(left), c.ValidateRequiredFlags(), c.ValidateFlagGroups()} {
			if err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

func TestDocumentsNameCommandsAndFlagsThatExist(t *testing.T) {
	faults, commands, err := documentFaults(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	if commands < 60 {
		t.Errorf("found %d commands; the documents have more", commands)
	}
}

func TestTheCheckOfDocumentsCanFail(t *testing.T) {
	for text, want := range map[string]string{
		"`heliograph fly`":                           "unknown command \"fly\"",
		"`heliograph trust grant --config f`":        "unknown command \"grant\"",
		"`heliograph decode FILE --loud`":            "unknown flag: --loud",
		"\"heliograph user make f\"":                 "unknown command \"make\"",
		"```\nheliograph key new\n```":               "accepts 1 arg(s), received 0",
		"```\nheliograph key # new f\n```":           "needs a command",
		"```\nheliograph key \\\n  old f &\n```":     "unknown command \"old\"",
		"```\nheliograph key new f &\n```":           "",
		"```\nheliograph key new f 2>log # why\n```": "",
		"`heliograph key new`, `heliograph`":         "",
		"`heliograph decode --key`":                  "",
		"```\nheliograph decode a --key\n```":        "flag needs an argument",
	} {
		faults, _, err := documentFaults(fstest.MapFS{"a.md": {Data: []byte(text)}})
		if err != nil || (want == "") != (len(faults) == 0) || !strings.Contains(strings.Join(faults, "\n"), want) {
			t.Errorf("%q: got %q, %v; want %q", text, faults, err, want)
		}
	}
}
