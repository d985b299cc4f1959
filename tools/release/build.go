package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"heliograph/tools/image"
)

// builder makes the parts of one release.
type builder struct {
	options
	ctx   context.Context
	out   io.Writer
	work  string            // folder for what is not part of the release
	built map[string]string // files of programs by os/arch/name
}

// The roles.
func roles() []string { return []string{"tx", "rx"} }

// all makes what is asked for.
func (b *builder) all() error {
	if err := os.Mkdir(b.work, 0o700); err != nil {
		return err
	}
	b.built = map[string]string{}
	for _, part := range b.parts {
		make := map[string]func() error{partTool: b.tools, partImages: b.images, partPackages: b.packages,
			partOCI: b.containers}[part]
		if err := make(); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return b.bill()
}

// program builds a program, once, and returns its file.
func (b *builder) program(platform, name string) (string, error) {
	id := platform + "/" + name
	if at, ok := b.built[id]; ok {
		return at, nil
	}
	at := filepath.Join(b.work, strings.ReplaceAll(id, "/", "_"))
	folder := "./firmware/cmd/" + name
	switch name {
	case toolName:
		folder = "./tools/heliograph"
	case "init", "initramfs":
		folder = "./rootfs/" + name
	}
	fmt.Fprintf(b.out, "compiling %s for %s …\n", name, platform)
	if err := image.Compile(b.ctx, b.source, b.version, platform, folder, at); err != nil {
		return "", err
	}
	b.built[id] = at
	return at, nil
}

// architectures are those that packages are made for.
func (b *builder) architectures() (list []string) {
	for _, p := range b.platform {
		if architecture, ok := strings.CutPrefix(p, "linux/"); ok {
			list = append(list, architecture)
		}
	}
	return list
}

// create writes a file of the release, and says so before: what takes long is named.
func (b *builder) create(name string, write func(io.Writer) error) error {
	fmt.Fprintf(b.out, "making %s …\n", name)
	f, err := os.OpenFile(filepath.Join(b.output, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}
