package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"aead.dev/minisign"
	"github.com/charmbracelet/x/term"

	"heliograph/tools/image"
)

const sumsFile = "SHA256SUMS"

// checksums writes the digests of all files of a folder as sha256sum does, and signs
// them when there is a key.
func checksums(folder, version string, key *minisign.PrivateKey) error {
	entries, err := os.ReadDir(folder) // sorted
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range entries {
		sum, err := digest(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sum, e.Name())
	}
	at := filepath.Join(folder, sumsFile)
	if err := os.WriteFile(at, []byte(text.String()), 0o644); err != nil || key == nil {
		return err
	}
	comment := "heliograph " + version // what minisign would add by itself has the time
	return os.WriteFile(at+".minisig", minisign.SignWithComments(*key, []byte(text.String()), comment, comment), 0o644)
}

func digest(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

// passwordVariable has the key's password where it cannot be typed.
const passwordVariable = "HELIOGRAPH_KEY_PASSWORD"

// readKey reads a secret key of minisign; nil if none is named.
func readKey(name string) (*minisign.PrivateKey, error) {
	if name == "" {
		return nil, nil
	}
	key, err := image.ReadSigningKey(name, func() (string, error) {
		if password, ok := os.LookupEnv(passwordVariable); ok {
			return password, nil
		}
		if !term.IsTerminal(os.Stdin.Fd()) {
			return "", errors.New("the key has a password: set " + passwordVariable + ", or run it in a terminal")
		}
		fmt.Fprintf(os.Stderr, "Password of %s: ", name)
		typed, err := term.ReadPassword(os.Stdin.Fd())
		fmt.Fprintln(os.Stderr)
		return string(typed), err
	})
	if err != nil {
		return nil, err
	}
	return &key, nil
}
