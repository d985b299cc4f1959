package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"heliograph/tools/image/filesystem"
)

// programs are what runs on a board, and what they were built from.
type programs struct{ role, pid1, initramfs, bill []byte }

// compile builds the programs.
func compile(o Options) (programs, error) {
	work, err := os.MkdirTemp("", "heliograph-image")
	if err != nil {
		return programs{}, fmt.Errorf("image: %v", err)
	}
	defer os.RemoveAll(work)
	var p programs
	if p.role, err = build(o, "./firmware/cmd/helio"+o.Role, work); err != nil {
		return programs{}, err
	}
	if p.pid1, err = build(o, "./rootfs/init", work); err != nil {
		return programs{}, err
	}
	if p.initramfs, err = build(o, "./rootfs/initramfs", work); err != nil {
		return programs{}, err
	}
	p.bill, err = billOfMaterials(o, p.role, p.pid1, p.initramfs)
	return p, err
}

// rootSlot returns the root filesystem.
func rootSlot(o Options, p programs) ([]byte, error) {
	root := filesystem.Tree()
	root.Add("init", 0o755, p.pid1)
	root.Add("bin/helio"+o.Role, 0o755, p.role)
	root.Add("etc/heliograph/role", 0o444, []byte(o.Role+"\n"))
	root.Add("etc/heliograph/board", 0o444, []byte(o.Board.Name+"\n"))
	root.Add("etc/hosts", 0o444, []byte("127.0.0.1 localhost\n::1 localhost\n"))
	root.Add("etc/passwd", 0o444, []byte("root:x:0:0::/:\nrole:x:1000:1000::/data:\n"))
	root.Symlink("etc/resolv.conf", "/run/resolv.conf")
	for _, name := range []string{"boot", "data", "dev", "proc", "run", "sys", "tmp"} {
		root.Mkdir(name)
	}
	return filesystem.SquashFS(root)
}

// Compile builds the program of a package in a checkout, for a system such as linux/arm64,
// so that neither folder, time nor checkout show in the file that it writes.
func Compile(ctx context.Context, source, version, system, pkg, file string) error {
	name, architecture, _ := strings.Cut(system, "/")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+version, "-o", file, pkg)
	c.Dir = source
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+name, "GOARCH="+architecture, "GOAMD64=v1",
		"GOARM64=v8.0")
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s for %s: %v\n%s", pkg, system, err, bytes.TrimSpace(said))
	}
	return nil
}

// build makes a program of a board.
func build(o Options, pkg, work string) ([]byte, error) {
	name := filepath.Join(work, filepath.Base(pkg))
	if err := Compile(context.Background(), o.Source, o.Version, "linux/arm64", pkg, name); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("image: %v", err)
	}
	return b, nil
}

// module is what the go command says of a module.
type module struct{ Path, Version, Dir, Sum string }

// download finds the files of a module that go.mod pins.
func download(o Options, path string) (module, error) {
	c := exec.Command("go", "mod", "download", "-json", path)
	c.Dir = o.Source
	c.Stderr = os.Stderr
	said, err := c.Output()
	if err != nil {
		return module{}, fmt.Errorf("image: finding module %s: %v\n%s", path, err, said)
	}
	var m module
	if err := json.Unmarshal(said, &m); err != nil {
		return module{}, fmt.Errorf("image: go mod download -json %s: %v", path, err)
	}
	return m, nil
}
