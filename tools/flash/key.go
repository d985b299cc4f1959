package flash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/config/pairkey"
)

// pairKey returns the key of the files that the configurations name, and the files
// that it made for it. Where a key is given, it is that one.
func pairKey(given *[pairkey.Size]byte, configs ...string) (key [pairkey.Size]byte, made []string, err error) {
	var missing []string
	found := given != nil
	if found {
		key = *given
	}
	for _, name := range configs {
		at, err := keyFile(name)
		if err != nil {
			return key, nil, err
		}
		k, err := pairkey.Read(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, at)
		case err != nil:
			return key, nil, fmt.Errorf("flash: %s: %v", at, err)
		case found && k != key:
			return key, nil, fmt.Errorf("flash: %s is not the key that the other board has: remove it for %s", at,
				map[bool]string{true: "the given one", false: "a new one, on both sides"}[given != nil])
		default:
			key, found = k, true
		}
	}
	if !found {
		key = pairkey.New()
	}
	for _, at := range slices.Compact(missing) {
		if err := pairkey.Create(at, key); err != nil {
			return key, made, fmt.Errorf("flash: %v", err)
		}
		made = append(made, at)
	}
	return key, made, nil
}

// keyFile finds the key's file in a configuration that may have faults.
func keyFile(name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("flash: %v", err)
	}
	var keys struct {
		Link struct {
			KeyFile string `toml:"key_file"`
		} `toml:"link"`
	}
	if err := toml.Unmarshal(b, &keys); err != nil {
		return "", fmt.Errorf("flash: %s: %v", name, err)
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
		return fmt.Errorf("flash: keeping the key: %v", err)
	}
	fmt.Fprintf(d.Out, "%s is the secret of this pair: who has it can make frames that the receiver takes for the "+
		"plant's.\nKeep it off this computer, under lock; \"heliograph flash --replace\" asks for it.\n", name)
	return nil
}
