package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// tool runs the tool of this machine, which knows its own manual and completion.
func (b *builder) tool(args ...string) ([]byte, error) {
	program, err := b.program(runtime.GOOS+"/"+runtime.GOARCH, toolName)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(b.ctx, program, args...)
	c.Env = append(os.Environ(), fmt.Sprint("SOURCE_DATE_EPOCH=", b.date.Unix()))
	said, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", toolName, strings.Join(args, " "), err)
	}
	return said, nil
}

// pages returns the man pages by the names of their files.
func (b *builder) pages() (map[string][]byte, error) {
	folder := filepath.Join(b.work, "man")
	if _, err := b.tool("man", folder); err != nil {
		return nil, err
	}
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	for _, e := range list {
		if pages[e.Name()], err = os.ReadFile(filepath.Join(folder, e.Name())); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// section is that of a page's file: "1" of "heliograph-key.1".
func section(page string) string { return strings.TrimPrefix(filepath.Ext(page), ".") }

// installedWords are what a product's package brings to be read: its man pages, and of the
// tool the documents and the completion of shells.
func (b *builder) installedWords(p product) ([]entry, error) {
	files, err := b.installedPages(p)
	if err != nil || p.Role != "" {
		return files, err
	}
	scripts, err := b.completions(installedCompletions())
	if err != nil {
		return nil, err
	}
	documents, err := b.documents()
	for _, e := range documents {
		e.path = "usr/share/doc/" + p.Name + "/" + e.path
		files = append(files, e)
	}
	return append(files, scripts...), err
}

// installedPages are the pages of a product where man looks for them: those of its name.
func (b *builder) installedPages(p product) (files []entry, err error) {
	pages, err := b.pages()
	if err != nil {
		return nil, err
	}
	for name, page := range pages {
		if product, _, _ := strings.Cut(name, "."); product != p.Name && !strings.HasPrefix(product, p.Name+"-") {
			continue
		}
		packed, err := gzipped(page)
		if err != nil {
			return nil, err
		}
		files = append(files, entry{path: "usr/share/man/man" + section(name) + "/" + name + ".gz", mode: 0o644,
			content: packed})
	}
	return files, nil
}

// completions returns the script of each shell, at where its packages look for it.
func (b *builder) completions(places map[string][]string) (files []entry, err error) {
	for shell, paths := range places {
		script, err := b.tool("completion", shell)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			files = append(files, entry{path: path, mode: 0o644, content: script})
		}
	}
	return files, nil
}

// installedCompletions are where bash, fish and zsh of Debian and of Fedora look.
func installedCompletions() map[string][]string {
	return map[string][]string{
		"bash": {"usr/share/bash-completion/completions/" + toolName},
		"fish": {"usr/share/fish/vendor_completions.d/" + toolName + ".fish"},
		"zsh":  {"usr/share/zsh/vendor-completions/_" + toolName, "usr/share/zsh/site-functions/_" + toolName},
	}
}

// unpacked are the pages and the scripts in the tool's archive; Windows has no man.
func (b *builder) unpacked(windows bool) ([]entry, error) {
	files, err := b.completions(map[string][]string{"bash": {"completion/heliograph.bash"},
		"fish": {"completion/heliograph.fish"}, "zsh": {"completion/_heliograph"},
		"powershell": {"completion/heliograph.ps1"}})
	if err != nil || windows {
		return files, err
	}
	pages, err := b.pages()
	for name, page := range pages {
		files = append(files, entry{path: "man/man" + section(name) + "/" + name, mode: 0o644, content: page})
	}
	return files, err
}
