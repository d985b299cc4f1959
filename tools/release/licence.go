package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"heliograph/tools/image"
)

// plotFolder has uPlot, which the status page draws with, and its licence.
const plotFolder = "firmware/platform/status/assets/uplot"

const licencesFile = "LICENCES-OF-DEPENDENCIES.txt"

// licenceNames are what projects call their licences.
var licenceNames = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)(\.|-|$)`)

// licences returns the licences of all that a program was built from.
func (b *builder) licences(program string) ([]byte, error) {
	modules, version, err := modulesOf(program)
	if err != nil {
		return nil, err
	}
	root, err := b.command("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := appendLicences(&text, "Go "+version, strings.TrimSpace(string(root))); err != nil {
		return nil, err
	}
	folders, err := b.folders(modules)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := appendLicences(&text, m.Path+" "+m.Version, folders[m.Path]); err != nil {
			return nil, err
		}
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	if version := image.PlotVersion(binary); version != "" {
		if err := appendLicences(&text, "uPlot "+version, filepath.Join(b.source, plotFolder)); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// modulesOf returns the modules that a program was built from, as it says itself, and
// the version of Go.
func modulesOf(program string) ([]*debug.Module, string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, "", err
	}
	var list []*debug.Module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, m)
	}
	return list, info.GoVersion, nil
}

// folders finds where the modules' files are.
func (b *builder) folders(modules []*debug.Module) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, m := range modules {
		args = append(args, m.Path+"@"+m.Version)
	}
	said, err := b.command("go", args...)
	if err != nil {
		return nil, err
	}
	folders := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(said)); ; {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download -json: %v", err)
		}
		folders[m.Path] = m.Dir
	}
}

// command runs a command in the checkout and returns what it prints.
func (b *builder) command(name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(b.ctx, name, args...)
	c.Dir = b.source
	var stderr bytes.Buffer
	c.Stderr = &stderr
	said, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %v\n%s", name, args[0], err, stderr.Bytes())
	}
	return said, nil
}

func appendLicences(to *bytes.Buffer, title, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("licence of %s: %v", title, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceNames.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(to, "%s\n== %s: %s\n\n%s\n\n", strings.Repeat("=", 80), title, e.Name(),
			bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
		found = true
	}
	if !found {
		return fmt.Errorf("%s has no licence file: look under which terms it may be given on", title)
	}
	return nil
}
