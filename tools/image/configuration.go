package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/config"
	"heliograph/tools/image/filesystem"
	"heliograph/tools/settings"
)

// home is the folder of the boot partition that PID 1 hands to the role.
const home = "heliograph"

// Files of the configuration that a board looks for by name.
const (
	configurationFile = "heliograph.toml"
	networkFile       = "network.toml"
)

// addConfiguration copies the role's configuration with the files that it
// names, and the network's. Both are checked first.
func addConfiguration(root *filesystem.File, o Options) error {
	if err := check(o); err != nil {
		return err
	}
	if o.Network != "" {
		b, err := os.ReadFile(o.Network)
		if err != nil {
			return fmt.Errorf("image: %v", err)
		}
		root.Add(home+"/"+networkFile, 0o400, b)
	}
	if o.Config == "" {
		return nil
	}
	b, err := os.ReadFile(o.Config)
	if err != nil {
		return fmt.Errorf("image: %v", err)
	}
	root.Add(home+"/"+configurationFile, 0o400, b)
	var keys map[string]any
	if err := toml.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("image: %v", err)
	}
	for _, name := range named("", keys) {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("image: %s names %s, which is not below its folder: put it there", o.Config, name)
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(o.Config), name))
		if err != nil {
			return fmt.Errorf("image: %v", err)
		}
		root.Add(home+"/"+filepath.ToSlash(name), 0o400, b)
	}
	return nil
}

// check refuses what could not work on the board: faults, and state in a folder
// that does not survive.
func check(o Options) error {
	files := settings.Files{Board: o.Board, Config: o.Config, Network: o.Network}
	var state, pki string
	var err error
	if o.Role == "tx" {
		var c config.TX
		c, _, err = files.TX()
		state, pki = c.State, c.PKI
	} else {
		var c config.RX
		c, _, err = files.RX()
		state, pki = c.State, c.PKI
	}
	if err != nil {
		return fmt.Errorf("image: the configuration has faults:\n%w", err)
	}
	if o.Config == "" {
		return nil
	}
	kept := filepath.Join(filepath.Dir(o.Config), "state")
	if state != kept || pki != filepath.Join(kept, "pki") {
		return fmt.Errorf("image: %s: leave [state] and [pki] out: a board keeps both on its data partition", o.Config)
	}
	return nil
}

// named returns the files that a configuration names.
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
		if strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "certificate") ||
			strings.HasSuffix(key, "private_key") {
			list = append(list, v)
		}
	}
	return list
}
