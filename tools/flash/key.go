package flash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
)

// sharedKey is the key of a pair.
type sharedKey struct {
	key  [pairkey.Size]byte
	used string   // the file that it was read from; "": none
	made []string // the files that were made for it
}

// pairKey returns the key of the files that the configurations name. Where a key is given,
// it is that one. The files that are missing are made, also where it returns an error.
func pairKey(given *[pairkey.Size]byte, configs ...string) (s sharedKey, err error) {
	var missing []string
	found := given != nil
	if found {
		s.key = *given
	}
	for _, name := range configs {
		at, err := keyFile(name)
		if err != nil {
			return s, err
		}
		k, err := pairkey.Read(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, at)
		case err != nil:
			return s, fmt.Errorf("flash: %s: %w", at, err)
		case found && k != s.key:
			return s, fmt.Errorf("flash: %s is not the key that the other board has: remove it for %s", at,
				map[bool]string{true: "the given one", false: "a new one, on both sides"}[given != nil])
		default:
			s.key, s.used, found = k, at, true
		}
	}
	if !found {
		s.key = pairkey.New()
	}
	for _, at := range slices.Compact(missing) {
		if err := pairkey.Create(at, s.key); err != nil {
			return s, fmt.Errorf("flash: %w", err)
		}
		s.made = append(s.made, at)
	}
	return s, nil
}

// keyFile finds the key's file in a configuration that may have faults.
func keyFile(name string) (string, error) {
	b, err := config.ReadFile(name)
	if err != nil {
		return "", config.Unread{Err: fmt.Errorf("flash: %w", err)}
	}
	var keys struct {
		Link struct {
			KeyFile string `toml:"key_file"`
		} `toml:"link"`
	}
	if err := toml.Unmarshal(b, &keys); err != nil {
		return "", config.Unread{Err: fmt.Errorf("flash: %s: %w", name, err)}
	}
	if !filepath.IsLocal(keys.Link.KeyFile) {
		return "", fmt.Errorf("flash: %s: [link] key_file must name a file below its folder, such as pair.key", name)
	}
	return filepath.Join(filepath.Dir(name), keys.Link.KeyFile), nil
}

func remove(names []string) {
	for _, name := range names {
		_ = os.Remove(name) // gone is gone
	}
}

// keep writes the key of a pair where a card of it can be made from later.
func (d Writer) keep(name string, key [pairkey.Size]byte) error {
	if err := pairkey.Create(name, key); err != nil {
		return fmt.Errorf("flash: keeping the key: %w", err)
	}
	fmt.Fprintf(d.Out, "%s is the secret of this pair: who has it can make frames that the receiver takes for the "+
		"plant's.\nKeep it off this computer, under lock; \"heliograph flash --replace\" asks for it.\n", name)
	return nil
}
