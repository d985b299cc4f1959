package release

import (
	"errors"
	"fmt"
	"os"

	"aead.dev/minisign"
)

// KeyFile is where the root filesystem has the public key of updates.
const KeyFile = "/etc/heliograph/update.pub"

// ReadKey reads a public key of minisign.
func ReadKey(name string) (minisign.PublicKey, error) {
	key, err := minisign.PublicKeyFromFile(name)
	if errors.Is(err, os.ErrNotExist) && name == KeyFile {
		return key, errors.New("release: this image accepts no update: it was made without --update-key")
	}
	if err != nil {
		return key, fmt.Errorf("release: the public key: %v", err)
	}
	return key, nil
}
