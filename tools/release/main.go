// Program release makes the folder that users get: what an engineer needs to make two
// boards on any PC, without Go, checkout or network, and packages for Linux hosts.
//
//	dist/
//	  heliograph_X_OS_ARCH.tar.gz, .zip    the tool, with licences: windows, darwin, linux; amd64, arm64
//	  heliograph-X-BOARD-ROLE.img.zst      what a board boots from, without a configuration
//	  heliotx_X_ARCH.deb, .rpm             the roles for hosts, with systemd units; so heliorx
//	  heliotx_X_oci.tar                    the same as OCI images, both architectures in one; so heliorx
//	  heliograph_X.cdx.json                what all that was built from (CycloneDX 1.6)
//	  SHA256SUMS, SHA256SUMS.minisig       digests of all these, and their signature when a key is given
//
// The same commit gives the same bytes in any folder: times are the commit's, or
// SOURCE_DATE_EPOCH. The folder is written whole or not at all, and the program refuses
// to replace one that is not a release. It runs in a checkout, with Go and its modules.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heliograph/boards"
)

// options say what to make.
type options struct {
	version  string
	release  uint64 // number of the images' release, for updates
	boards   []string
	parts    []string // of allParts
	platform []string // os/arch of the tool, arch of packages
	key      string   // file of the secret key that signs; "": none
	source   string   // the checkout
	output   string
	date     time.Time // of all files in archives, packages and images
}

// What a release has.
const (
	partTool     = "tool"
	partImages   = "images"
	partPackages = "packages"
	partOCI      = "oci"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = o.make(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.version, "version", "", "version of the release, such as 1.2.0 or 1.2.0-rc1")
	f.Uint64Var(&o.release, "release", 1, "number of the release, for updates: one more than the last")
	list := f.String("boards", "", "boards to make images for, such as virt,rpi4b (default: all)")
	parts := f.String("parts", strings.Join(allParts(), ","), "what to make")
	platforms := f.String("platforms", strings.Join(allPlatforms(), ","), "systems of the tool; packages are made "+
		"for the architectures of those of linux")
	f.StringVar(&o.key, "key", "", "`FILE` with the secret key of minisign that signs the checksums")
	f.StringVar(&o.source, "source", ".", "folder of the checkout")
	f.StringVar(&o.output, "o", "dist", "folder to write")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q: no argument is expected here", f.Arg(0))
	}
	o.boards, o.parts, o.platform = words(*list), words(*parts), words(*platforms)
	if len(o.boards) == 0 {
		o.boards = allBoards()
	}
	return o, o.check()
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func allParts() []string { return []string{partTool, partImages, partPackages, partOCI} }

func allPlatforms() []string {
	return []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}
}

// allBoards are those that images are made for.
func allBoards() (names []string) {
	for _, b := range boards.All() {
		if b.Console.Device != "" {
			names = append(names, b.Name)
		}
	}
	return names
}

// versions begins with a digit, as packages want it.
var versions = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~-]{0,63}$`)

func (o *options) check() error {
	if !versions.MatchString(o.version) {
		return fmt.Errorf("version %q must begin with a digit, and have letters, digits and .+~- alone: "+
			"make release VERSION=1.2.0", o.version)
	}
	if o.release == 0 {
		return errors.New("--release: must be from 1")
	}
	for _, c := range []struct {
		what      string
		got, have []string
	}{{"board", o.boards, allBoards()}, {"part", o.parts, allParts()}, {"platform", o.platform, allPlatforms()}} {
		for _, name := range c.got {
			if !slices.Contains(c.have, name) {
				return fmt.Errorf("%s %q is not one of %s", c.what, name, strings.Join(c.have, ", "))
			}
		}
	}
	return nil
}

// make makes the release beside its place, and puts it there when it is whole.
func (o options) make(ctx context.Context, out io.Writer) error {
	if err := replaceable(o.output); err != nil {
		return err
	}
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	if o.date, err = sourceDate(o.source); err != nil {
		return err
	}
	place, err := filepath.Abs(o.output)
	if err != nil {
		return err
	}
	if o.output, err = os.MkdirTemp(filepath.Dir(place), "."+filepath.Base(place)+"-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.output)
	b := &builder{options: o, ctx: ctx, out: out, work: filepath.Join(o.output, "work")}
	if err := b.all(); err != nil {
		return err
	}
	if err := os.RemoveAll(b.work); err != nil {
		return err
	}
	if err := checksums(o.output, o.version, key); err != nil {
		return err
	}
	if err := os.Chmod(o.output, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(place); err != nil {
		return err
	}
	if err := os.Rename(o.output, place); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: release %s\n", place, o.version)
	return nil
}

// replaceable refuses a folder that something else may be in.
func replaceable(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == sumsFile {
			return nil
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("%s is not a release, for it has no %s: name another folder, or remove it", folder, sumsFile)
}

// sourceDate is when the sources were changed last.
func sourceDate(source string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		c := exec.Command("git", "log", "-1", "--format=%ct")
		c.Dir = source
		said, err := c.Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("the time of the sources: git log: %v; set SOURCE_DATE_EPOCH outside "+
				"a Git repository", err)
		}
		text = string(said)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("the time of the sources is %q: want seconds since 1970", text)
	}
	return time.Unix(n, 0).UTC(), nil
}
