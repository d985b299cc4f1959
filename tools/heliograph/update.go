package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
	"heliograph/tools/flash"
	"heliograph/tools/image"
	"heliograph/tools/progress"
)

func updateCommand() *cobra.Command {
	return group("update", "Make signed updates, and install them on a card",
		updateKeyCommand(), updateMakeCommand(), updateInstallCommand(), updateShowCommand())
}

func updateKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key FILE",
		Short: "Write a new key that signs updates to FILE, and the public one, which images get, to FILE.pub " +
			"(minisign's formats)",
		Example: "  heliograph update key plant.key",
		Args:    cobra.ExactArgs(1),
		RunE: failing(func(c *cobra.Command, args []string) error {
			for _, name := range []string{args[0], args[0] + ".pub"} {
				if _, err := os.Lstat(name); err == nil {
					return fmt.Errorf("%s exists: name another, or remove it", name)
				}
			}
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			public, private, err := minisign.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			secret, err := private.MarshalText()
			if password != "" {
				secret, err = minisign.EncryptKey(password, private)
			}
			if err != nil {
				return err
			}
			text, err := public.MarshalText()
			if err != nil {
				return err
			}
			if err := writeNew(args[0], secret, 0o600); err != nil {
				return err
			}
			if err := writeNew(args[0]+".pub", text, 0o644); err != nil {
				return err
			}
			if password == "" {
				fmt.Fprintln(c.ErrOrStderr(), "no password: anyone who has the file can sign updates")
			}
			fmt.Fprintf(c.OutOrStdout(), "%s signs updates: keep it away from boards and networks\n%s.pub is for "+
				"heliograph image --update-key\n", args[0], args[0])
			return nil
		}),
	}
}

// writeNew writes a file that must not exist: an old key may be the only way
// to update boards.
func writeNew(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func updateMakeCommand() *cobra.Command {
	o := image.Options{Source: ".", Version: version}
	var board, key string
	c := &cobra.Command{
		Use:   "make --role tx|rx --board BOARD --release N --key FILE -o FILE.update",
		Short: "Write an update, from the base image of the board or in a checkout",
		Long: "Write an update. What it brings is taken from the base image of the board and role, beside this\n" +
			"program or in --images; without one it is built from the checkout that it is run in.",
		Example: "  heliograph update make --role tx --board rpi4b --release 2 --key plant.key -o tx-2.update",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Board, err = imageBoard(board); err != nil {
				return err
			}
			return failing(func(c *cobra.Command, _ []string) error {
				private, err := signingKey(c, key)
				if err != nil {
					return err
				}
				err = during(c, "making the update of "+strings.ToUpper(o.Role), func(l *progress.Line) error {
					o.Notes = l.Writer(c.ErrOrStderr())
					return image.BuildUpdate(o, private)
				})
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: release %d of %s for %s\n", o.Output, o.Release, o.Role, board)
				return nil
			})(c, nil)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Role, "role", "", "tx or rx")
	boardFlag(c, &board)
	f.Var(releaseNumber{&o.Release}, "release", "number of the release; a card takes none below what it has had")
	f.StringVar(&key, "key", "", "file of \"heliograph update key\", or of minisign -G")
	f.StringVar(&o.UpdateKey, "update-key", "", "public key that the updates after this one must be signed with; "+
		"default: as before")
	f.StringVar(&o.Images, "images", "", imagesUsage)
	f.StringVarP(&o.Output, "output", "o", "", "the file to write")
	for _, name := range []string{"role", "board", "release", "key", "output"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not there
		}
	}
	return c
}

// signingKey asks for the password of a file that has one.
func signingKey(c *cobra.Command, name string) (minisign.PrivateKey, error) {
	return image.ReadSigningKey(name, func() (string, error) {
		if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(f.Fd()) {
			return ask(f, c.ErrOrStderr(), "Password of "+name+": ")
		}
		return readPassword(c.InOrStdin(), io.Discard)
	})
}

func updateInstallCommand() *cobra.Command {
	var public string
	c := &cobra.Command{
		Use: "install --key FILE.pub FILE.update CARD",
		Short: "Install an update on a card, or in an image; the board tries it at its next start, and rolls back " +
			"when it does not become healthy",
		Example: "  heliograph update install --key plant.key.pub tx-2.update /dev/sdX",
		Args:    cobra.ExactArgs(2),
		RunE: failing(func(c *cobra.Command, args []string) error {
			key, err := release.ReadKey(public)
			if err != nil {
				return err
			}
			file, err := regular.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			return onCard(c, "installing on", args[1], func(w io.Writer, d flash.Disk, card *update.Card) error {
				return install(w, args[1], d, card, file, signed{public, key})
			})
		}),
	}
	c.Flags().StringVar(&public, "key", "", "public key that the file must be signed with; the card's own does "+
		"not count here")
	if err := c.MarkFlagRequired("key"); err != nil {
		panic(err) // a flag that is not there
	}
	return c
}

// signed is the key that an update must be signed with, and its file.
type signed struct {
	name string
	key  minisign.PublicKey
}

// install puts an update on a card that is at hand, which takes what the given key signed.
// It says when the card takes other updates over the network.
func install(w io.Writer, name string, d flash.Disk, card *update.Card, file io.ReadSeeker, by signed) error {
	target, err := card.Target()
	if err != nil {
		return err
	}
	m, err := card.Install(file, by.key, target)
	if wrong, ok := errors.AsType[release.KeyError](err); ok {
		return fmt.Errorf("the update is signed with key %016X, and %s is key %016X: give the public key of the "+
			"first; nothing was changed", wrong.Signed, by.name, wrong.Wanted)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: release %d (%s) is tried at the next start\n", name, m.Version, m.Name)
	own, has, err := image.UpdateKey(d)
	switch {
	case err != nil: // the committed set may be damaged, which the update repairs
	case !has:
		fmt.Fprintln(w, "the card has no key of its own for updates: over the network it takes none (\"heliograph "+
			"image configure --update-key\")")
	case !own.Equal(by.key):
		fmt.Fprintf(w, "over the network the card takes updates that are signed with key %s\n", image.KeyID(own))
	}
	return nil
}

// onCard opens a card and shows that something is done with it that takes long. What do writes
// to w goes to standard output.
func onCard(c *cobra.Command, what, name string, do func(w io.Writer, d flash.Disk, card *update.Card) error) error {
	d, err := flash.OpenCard(flash.Local(), name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := foreign(name, d); err != nil {
		return err
	}
	card, err := update.Open(readBack{d}, 0)
	if err != nil {
		return err
	}
	return during(c, what+" "+name, func(l *progress.Line) error {
		return do(l.Writer(c.OutOrStdout()), d, card)
	})
}

// readBack is a card of which what was synced is read from the card again, not from memory.
type readBack struct{ flash.Disk }

// Sync implements update.Disk.
func (c readBack) Sync() error {
	if err := c.Disk.Sync(); err != nil {
		return err
	}
	return c.Forget()
}

func updateShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show CARD",
		Short: "Say which releases a card has, and whether they are whole",
		Args:  cobra.ExactArgs(1), Example: "  heliograph update show /dev/sdX",
		RunE: failing(func(c *cobra.Command, args []string) error {
			return onCard(c, "reading", args[0], func(w io.Writer, _ flash.Disk, card *update.Card) error {
				return showCard(w, card, asJSON)
			})
		}),
	}
	jsonFlag(c, &asJSON)
	return c
}

// cardSet is one of the two sets of a card, for a program.
type cardSet struct {
	Set       string `json:"set"`
	Committed bool   `json:"committed"`
	Release   uint64 `json:"release,omitempty"`
	Name      string `json:"name,omitempty"`
	Role      string `json:"role,omitempty"`
	Board     string `json:"board,omitempty"`
	Fault     string `json:"fault,omitempty"`
}

func setOf(card *update.Card, set, committed update.Set) cardSet {
	s := cardSet{Set: string(rune(set)), Committed: set == committed}
	m, err := card.Check(set)
	if err != nil {
		s.Fault = err.Error()
		return s
	}
	s.Release, s.Name, s.Role, s.Board = m.Version, m.Name, m.Role, m.Board
	return s
}

func showCard(w io.Writer, card *update.Card, asJSON bool) error {
	state, err := card.State()
	if err != nil {
		return err
	}
	sets := []cardSet{setOf(card, update.A, state.Committed), setOf(card, update.B, state.Committed)}
	if asJSON {
		return printObject(w, map[string]any{"sets": sets, "starts": state.Boots, "floor": state.Floor,
			"pending": state.Pending, "refused": state.Refused})
	}
	for _, s := range sets {
		what := ""
		if s.Committed {
			what = ", committed"
		}
		if s.Fault != "" {
			fmt.Fprintf(w, "set %s: %s\n", s.Set, s.Fault)
			continue
		}
		fmt.Fprintf(w, "set %s: release %d (%s) of %s for %s, whole%s\n", s.Set, s.Release, s.Name, s.Role, s.Board,
			what)
	}
	fmt.Fprintf(w, "starts since it was last healthy: %d; oldest release that it takes: %d\n", state.Boots, state.Floor)
	if state.Pending != 0 {
		fmt.Fprintf(w, "release %d waits to be tried\n", state.Pending)
	}
	if state.Refused != 0 {
		fmt.Fprintf(w, "release %d was given up: %s\n", state.Refused, state.Fate)
	}
	return nil
}
