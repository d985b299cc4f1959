package flash

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity"
	"heliograph/tools/image"
	"heliograph/tools/settings"
)

// unit is one board of a pair with its card.
type unit struct {
	Side
	role   string
	pair   string
	board  boards.Board
	link   config.Link
	target string

	host       string   // the board's name
	hosts      []string // that, and its address if it is known
	check      string   // of the pair key: eight digits that both labels share
	image      string
	thumbprint string
	updateKey  string // ID; "": none
	release    uint64 // number in the image
}

// readNetwork finds out what the board will be called.
func (u *unit) readNetwork() error {
	_, c, err := settings.Network(u.Network)
	if err != nil {
		return err
	}
	if u.host = c.Hostname; u.host == "" {
		u.host = "helio" + u.role // as PID 1 calls it
	}
	u.hosts = []string{u.host}
	if c.Address.IsValid() {
		u.hosts = append(u.hosts, c.Address.Addr().String())
	}
	return nil
}

// image makes the image of one board, with its identity.
func (p Pair) image(dir string, u *unit) error {
	u.image = filepath.Join(dir, u.role+".img")
	if err := p.Build(image.Options{
		Role: u.role, Board: p.Board, Config: u.Config, Network: u.Network, Source: p.Source, Version: p.Version,
		Output: u.image, UpdateKey: p.UpdateKey, Release: p.Release,
	}); err != nil {
		return err
	}
	folder := filepath.Join(dir, u.role, "pki")
	store, err := pki.Open(pki.Config{Directory: folder, Application: application(u.role, u.pair, u.hosts),
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	u.thumbprint = pki.Thumbprint(store.Own().Certificate.Raw)
	files, err := readFolder(filepath.Join(dir, u.role))
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	f, err := os.OpenFile(u.image, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	defer f.Close()
	m, err := image.Manifest(f)
	if err != nil {
		return fmt.Errorf("flash: the image that was made: %w", err)
	}
	u.release = m.Version
	return image.AddContent(f, files)
}

// application is what the certificate of a board says, under the names that the
// board will have and not this computer.
func application(role, pair string, hosts []string) pki.Application {
	a := identity.Application(role, pair)
	a.URI = fmt.Sprintf("urn:%s:heliograph:%s:%s", url.PathEscape(hosts[0]), role, url.PathEscape(pair))
	a.Hosts = hosts
	return a
}

func readFolder(dir string) (image.Content, error) {
	c := image.Content{}
	root := os.DirFS(dir)
	return c, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		c[name], err = fs.ReadFile(root, name)
		return err
	})
}
