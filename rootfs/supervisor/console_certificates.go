package supervisor

import (
	"crypto/x509"
	"log/slog"
	"os"
	"time"

	"heliograph/firmware/opcua/pki"
	"heliograph/rootfs/console"
)

// Rejected implements console.Board.
func (b *ConsoleBoard) Rejected() []console.Certificate {
	if time.Since(b.rejectedRead) >= certificateInterval {
		b.rejected, b.rejectedRead = b.readRejected(), time.Now()
	}
	return b.rejected
}

func (b *ConsoleBoard) readRejected() (list []console.Certificate) {
	store, err := b.openStore(true)
	if err != nil {
		return nil
	}
	for _, e := range store.List() {
		if e.Kind == pki.KindRejected && e.Certificate != nil {
			list = append(list, shown(e.Thumbprint, e.Certificate))
		}
	}
	return list
}

// Identity implements console.Board.
func (b *ConsoleBoard) Identity() console.Certificate {
	store, err := b.openStore(true)
	if err != nil || store.Own() == nil {
		return console.Certificate{}
	}
	return shown(pki.Thumbprint(store.Own().Certificate.Raw), store.Own().Certificate)
}

// shown is a certificate as the console shows it.
func shown(thumbprint string, c *x509.Certificate) console.Certificate {
	return console.Certificate{Thumbprint: thumbprint, Subject: c.Subject.String(),
		Why: "until " + c.NotAfter.UTC().Format(time.DateOnly)}
}

// Trust implements console.Board.
func (b *ConsoleBoard) Trust(thumbprint string) error {
	store, err := b.openStore(false)
	if err != nil {
		return err
	}
	if _, err := store.Trust(thumbprint, false); err != nil {
		return err
	}
	b.config.Log.Warn("certificate trusted on the console", "thumbprint", thumbprint)
	b.rejectedRead = time.Time{}
	return b.config.Role.giveToRole(b.config.Role.configuredPaths().pki)
}

// openStore opens the role's certificates, if it has any. What only reads makes no folder: it
// would be root's, and the role, which makes its folders meanwhile, could save nothing there.
func (b *ConsoleBoard) openStore(readOnly bool) (*pki.Store, error) {
	folder := b.config.Role.configuredPaths().pki
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	return pki.Open(pki.Config{Directory: folder, ReadOnly: readOnly, Log: slog.New(slog.DiscardHandler)})
}
