package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/text"
	"heliograph/tools/settings"
)

// home is the folder of the boot partition that PID 1 hands to the role.
const home = "heliograph"

// Files of the configuration that a board looks for by name.
const (
	configurationFile = "heliograph.toml"
	networkFile       = "network.toml"
	keyFile           = "update.pub"
	pkiFolder         = "pki" // what the role starts with, see package supervisor
)

// parts are what of a configuration is replaced apart from the rest.
type parts struct {
	role, network, key, pki Content // nil: stays as it is

	pairKey string // the old pair key, which the new configuration names and does not have; "": none
}

// read collects what the options name, and checks it against that and what an image has.
func (o Options) read(old Content) (p parts, err error) {
	if p.pairKey, err = o.oldPairKey(old); err != nil {
		return p, err
	}
	if err := check(o, p.pairKey != ""); err != nil {
		return p, err
	}
	if o.Config != "" {
		if p.role, err = o.readRole(p.pairKey); err != nil {
			return p, err
		}
	}
	if o.Network != "" {
		b, err := readSmall(o.Network)
		if err != nil {
			return p, err
		}
		p.network = Content{networkFile: b}
	}
	if o.UpdateKey != "" {
		key, err := release.ReadKey(o.UpdateKey)
		if err != nil {
			return p, err
		}
		p.key = Content{keyFile: []byte(key.String() + "\n")}
	}
	if o.PKI != "" {
		p.pki, err = readPKI(o.PKI)
	}
	return p, err
}

// oldPairKey returns the name of the pair key that an image has and that the configuration
// names, without one beside it; "" when there is none.
func (o Options) oldPairKey(old Content) (string, error) {
	if o.Config == "" {
		return "", nil
	}
	b, err := readSmall(o.Config)
	if err != nil {
		return "", config.Unread{Err: err}
	}
	var keys struct {
		Link struct {
			KeyFile string `toml:"key_file"`
		} `toml:"link"`
	}
	if toml.Unmarshal(text.TrimMark(b), &keys) != nil || !filepath.IsLocal(keys.Link.KeyFile) {
		return "", nil // what is wrong with it, check says
	}
	name := filepath.ToSlash(filepath.Clean(keys.Link.KeyFile))
	if _, held := old[name]; !held {
		return "", nil
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(o.Config), keys.Link.KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return name, nil
}

// readRole returns the role's configuration with the files that it names, but for the pair
// key that an image has.
func (o Options) readRole(pairKey string) (Content, error) {
	b, err := readSmall(o.Config)
	if err != nil {
		return nil, config.Unread{Err: err}
	}
	c := Content{configurationFile: b}
	for _, name := range namedFiles(b) {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("image: %s names %s, which is not below its folder: put it there", o.Config, name)
		}
		at := filepath.ToSlash(filepath.Clean(name))
		if reserved(at) {
			return nil, fmt.Errorf("image: %s names %s, which a board has for something else: give it another name",
				o.Config, name)
		}
		if slices.ContainsFunc(strings.Split(at, "/"), litter) {
			return nil, fmt.Errorf("image: %s names %s, and an image leaves out what systems put into folders, "+
				"such as names that begin with a dot: give it another name", o.Config, name)
		}
		if at == pairKey {
			continue
		}
		if c[at], err = readSmall(filepath.Join(filepath.Dir(o.Config), name)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// reserved says whether a file below home has a meaning of its own.
func reserved(name string) bool {
	return name == configurationFile || name == networkFile || name == keyFile || strings.HasPrefix(name, pkiFolder+"/")
}

func readSmall(name string) ([]byte, error) {
	b, err := regular.Read(name, mostBytes)
	if err != nil {
		return nil, fmt.Errorf("image: %v", err)
	}
	return b, nil
}

// readPKI reads a folder of certificates as a role has it.
func readPKI(dir string) (Content, error) {
	c := Content{}
	root := os.DirFS(dir)
	for _, below := range []string{"own", "trusted", "issuer", "trusted_users"} {
		err := fs.WalkDir(root, below, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == below {
				return nil
			}
			if err == nil && d.IsDir() && litter(d.Name()) {
				return fs.SkipDir
			}
			if err != nil || !d.Type().IsRegular() || litter(d.Name()) {
				return err
			}
			if len(c) == mostFiles {
				return fmt.Errorf("more than %d files", mostFiles)
			}
			c[path.Join(pkiFolder, name)], err = readSmall(filepath.Join(dir, filepath.FromSlash(name)))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("image: %s: %v", dir, err)
		}
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("image: %s has none of the folders own, trusted, issuer and trusted_users", dir)
	}
	return c, nil
}

// over returns the configuration that an image has with the new parts in it: what an older
// configuration of the role named goes with it.
func (p parts) over(old Content) Content {
	c := Content{}
	gone := map[string]bool{}
	if p.role != nil {
		for _, name := range namedFiles(old[configurationFile]) {
			gone[filepath.ToSlash(filepath.Clean(name))] = true
		}
	}
	for name, b := range old {
		replaced := p.role
		switch {
		case name == networkFile:
			replaced = p.network
		case name == keyFile:
			replaced = p.key
		case strings.HasPrefix(name, pkiFolder+"/"):
			replaced = p.pki
		}
		if replaced == nil && !gone[name] || name == p.pairKey {
			c[name] = b
		}
	}
	for _, part := range []Content{p.role, p.network, p.key, p.pki} {
		maps.Copy(c, part)
	}
	return c
}

// check refuses what could not work on the board: faults, and state in a folder
// that does not survive. With hasKey the pair key may be missing.
func check(o Options, hasKey bool) error {
	files := settings.Files{Board: o.Board, Config: o.Config, Network: o.Network}
	if hasKey {
		files.KeyLater = "the image has it"
	}
	c, _, err := files.Role(o.Role)
	if _, invalid := errors.AsType[config.Faults](err); invalid {
		return fmt.Errorf("image: the configuration has faults:\n%w", err)
	}
	if err != nil { // of a file that was not read
		return fmt.Errorf("image: %w", err)
	}
	if o.Config == "" {
		return nil
	}
	kept := filepath.Join(filepath.Dir(o.Config), "state")
	if c.State != kept || c.PKI != filepath.Join(kept, "pki") {
		return fmt.Errorf("image: %s: leave [state] and [pki] out: a board keeps both on its data partition", o.Config)
	}
	return nil
}

// namedFiles returns the files that a configuration names, in no order.
func namedFiles(configuration []byte) []string {
	var keys map[string]any
	if toml.Unmarshal(text.TrimMark(configuration), &keys) != nil {
		return nil
	}
	return named("", keys)
}

// named returns the files that a configuration names. An empty name is one that is left out.
func named(key string, value any) []string {
	var list []string
	switch v := value.(type) {
	case map[string]any:
		for k, below := range v {
			list = append(list, named(k, below)...)
		}
	case []any:
		for _, below := range v {
			list = append(list, named(key, below)...)
		}
	case string:
		if v != "" && (strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "certificate") ||
			strings.HasSuffix(key, "private_key")) {
			list = append(list, v)
		}
	}
	return list
}
