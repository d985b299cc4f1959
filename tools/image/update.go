package image

import (
	"os"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
)

// BuildUpdate writes to Output the update file that makes a card's release this
// one. It leaves the card's configuration and keys as they are.
func BuildUpdate(o Options, key minisign.PrivateKey) error {
	if err := o.check(); err != nil {
		return err
	}
	p, err := compile(o)
	if err != nil {
		return err
	}
	return assembleUpdate(o, p, key)
}

func assembleUpdate(o Options, p programs, key minisign.PrivateKey) error {
	s, err := assembled(o, p)
	if err != nil {
		return err
	}
	return write(o.Output, func(f *os.File) error {
		return release.Seal(f, s.manifest, key, append(s.contents, s.root)...)
	})
}
