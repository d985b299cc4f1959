package image

import (
	"fmt"
	"strings"

	"aead.dev/minisign"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/release"
)

// ReadSigningKey reads a secret key of "heliograph update key" or of minisign; password is
// asked when it has one.
func ReadSigningKey(name string, password func() (string, error)) (key minisign.PrivateKey, err error) {
	text, err := config.ReadFile(name)
	if err != nil {
		return key, err
	}
	if !minisign.IsEncrypted(text) {
		if key.UnmarshalText(text) == nil {
			return key, nil
		}
		if _, err := release.ParseKey(text); err == nil {
			return key, fmt.Errorf("%s is the public key: give %s", name, strings.TrimSuffix(name, ".pub"))
		}
		return key, fmt.Errorf("%s is not a secret key of minisign; \"heliograph update key FILE\" makes one", name)
	}
	typed, err := password()
	if err != nil {
		return key, err
	}
	if key, err = minisign.DecryptKey(typed, text); err != nil {
		return key, fmt.Errorf("%s: wrong password, or not a secret key of minisign", name)
	}
	return key, nil
}
