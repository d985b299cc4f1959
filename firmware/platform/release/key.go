package release

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/text"
)

// KeyFile is where a board has the public key of updates: in its boot partition, beside the
// configuration, so that any computer can put it there.
const KeyFile = "/boot/heliograph/update.pub"

const maxKey = 4096 // bytes of a key's file

// ReadKey reads a public key of minisign, as any editor saves it.
func ReadKey(name string) (minisign.PublicKey, error) {
	b, err := regular.Read(name, maxKey)
	if errors.Is(err, os.ErrNotExist) && name == KeyFile {
		return minisign.PublicKey{}, errors.New("release: this card accepts no update: it has no " +
			"heliograph/update.pub, which \"heliograph image configure --update-key\" writes")
	}
	if err != nil {
		return minisign.PublicKey{}, fmt.Errorf("release: the public key: %w", err)
	}
	key, err := ParseKey(b)
	var secret minisign.PrivateKey
	switch {
	case err == nil:
	case minisign.IsEncrypted(text.TrimMark(b)), secret.UnmarshalText(text.TrimMark(b)) == nil:
		return key, fmt.Errorf("release: %s is the secret key: give %s.pub", name, name)
	default:
		return key, fmt.Errorf("release: %s is not a public key of minisign", name)
	}
	return key, nil
}

// ParseKey reads the text of a public key: one line, and comments before it.
func ParseKey(b []byte) (key minisign.PublicKey, err error) {
	line := ""
	for l := range strings.Lines(string(text.TrimMark(b))) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "untrusted comment:") {
			line = l
		}
	}
	return key, key.UnmarshalText([]byte(line))
}

// CurrentKey returns the key that updates of a board must be signed with: the one that the
// release which runs has brought, or else the file's.
func CurrentKey(running Manifest, file string) (minisign.PublicKey, error) {
	if running.UpdateKey == "" {
		return ReadKey(file)
	}
	return ParseKey([]byte(running.UpdateKey))
}
