package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/tx/epoch"
)

func keyCommand() *cobra.Command {
	return group("key", "Make, show and change the key that a pair of boards shares", keyNew(), keyShow(), keyChange())
}

func keyNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Write a new random key to FILE, which must not exist",
		Args:  cobra.ExactArgs(1), Example: "  heliograph key new pair.key",
		RunE: failing(func(c *cobra.Command, args []string) error {
			err := pairkey.Create(args[0], pairkey.New())
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already and stays as it is; move it away first when you mean to "+
					"change the key", args[0])
			}
			if err != nil {
				return regular.ExplainNew(args[0], err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s written; copy it to both boards, and nowhere else\n", args[0])
			return nil
		}),
	}
}

// holder is what a configuration of either role says of its key and its certificate.
type holder struct {
	role, file, state string
	pki, pair         string
}

// holderOf reads a configuration. One that would do for both is that of the role
// whose state there is, or what its content looks like.
func holderOf(path string) (holder, error) {
	tx, _, noTX := config.LoadTX(path)
	rx, _, noRX := config.LoadRX(path)
	ofTX := holder{"heliotx", tx.Link.KeyFile, tx.State, tx.PKI, tx.Pair}
	ofRX := holder{"heliorx", rx.Link.KeyFile, rx.State, rx.PKI, rx.Pair}
	switch {
	case noTX != nil && noRX != nil:
		if _, other := errors.AsType[config.OtherRole](noTX); other {
			return ofRX, noRX
		}
		return ofTX, noTX
	case noTX != nil:
		return ofRX, nil
	case noRX != nil:
		return ofTX, nil
	}
	if runs, _ := filepath.Glob(filepath.Join(rx.State, "runs-*")); len(runs) > 0 {
		return ofRX, nil
	}
	if _, err := epoch.Kept(tx.State); err == nil || guessSide(path) == "tx" {
		return ofTX, nil
	}
	return ofRX, nil
}

func keyShow() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show --config FILE",
		Short: "Show the IDs of the keys that a role uses",
		Long:  "An ID is the same on both sides, and says nothing of the key.",
		Args:  cobra.NoArgs, Example: "  heliograph key show --config rx.toml",
	}
	c.Flags().StringVar(&path, "config", "", "configuration `FILE` of heliorx or heliotx")
	_ = c.MarkFlagRequired("config")
	jsonFlag(c, &asJSON)
	c.RunE = failing(func(c *cobra.Command, _ []string) error {
		h, err := holderOf(path)
		if err != nil {
			return err
		}
		use, warning, err := pairkey.InUse(h.file, h.state, time.Now())
		if err != nil {
			return err
		}
		if warning != nil {
			fmt.Fprintln(c.ErrOrStderr(), warning)
		}
		if asJSON {
			return printObject(c.OutOrStdout(), keysOf(h, use))
		}
		showKeys(c.OutOrStdout(), h, use)
		return nil
	})
	return c
}

// usedKeys are the IDs of a role's keys, for a program.
type usedKeys struct {
	Role  string     `json:"role"`
	Used  string     `json:"used"`
	Old   string     `json:"accepted_too,omitempty"`
	Until *time.Time `json:"until,omitempty"`
}

func keysOf(h holder, use pairkey.Use) usedKeys {
	keys := usedKeys{Role: strings.TrimPrefix(h.role, "helio"), Used: pairkey.ID(use.Key)}
	if use.Old != nil && h.role == "heliorx" {
		keys.Old, keys.Until = pairkey.ID(*use.Old), &use.Until
	}
	return keys
}

func showKeys(w io.Writer, h holder, use pairkey.Use) {
	fmt.Fprintf(w, "%s  used by %s\n", pairkey.ID(use.Key), h.role)
	if use.Old != nil && h.role == "heliorx" {
		fmt.Fprintf(w, "%s  accepted too until %s\n", pairkey.ID(*use.Old), use.Until.Format(time.DateTime+" UTC"))
	}
}

func keyChange() *cobra.Command {
	var path string
	var accept time.Duration
	c := &cobra.Command{
		Use:   "change --config FILE NEWKEY",
		Short: "Have a role use another key, without losing anything: the receiver first",
		Long: "Make a key with \"heliograph key new next.key\" and take it to both sides. Then\n" +
			"  1. heliograph key change --config rx.toml next.key  the receiver accepts both keys without a restart\n" +
			"  2. heliograph key change --config tx.toml next.key  and restart heliotx: it uses the new one\n" +
			"  3. heliograph key show --config rx.toml             until that time, step 2 can be undone\n" +
			"The change is kept in the [state] directory. Put the new key into the key_file when you\n" +
			"like; it ends the change.",
		Example: "  heliograph key change --config rx.toml --for 48h next.key",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&path, "config", "", "configuration `FILE` of heliorx or heliotx")
	c.Flags().DurationVar(&accept, "for", 24*time.Hour, "how long the receiver accepts the old key")
	_ = c.MarkFlagRequired("config")
	change := failing(func(c *cobra.Command, args []string) error {
		h, err := holderOf(path)
		if err != nil {
			return err
		}
		key, err := pairkey.Read(args[0])
		if err != nil {
			return err
		}
		use, err := pairkey.Change(h.file, h.state, key, time.Now(), accept)
		if err != nil {
			return err
		}
		showKeys(c.OutOrStdout(), h, use)
		if h.role == "heliorx" {
			fmt.Fprintln(c.OutOrStdout(), "the receiver accepts it within two seconds, without a restart; now "+
				"change the transmitter")
		} else {
			fmt.Fprintln(c.OutOrStdout(), "restart heliotx to use it; the receiver must accept it by then, or "+
				"nothing is received")
		}
		return nil
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if accept <= 0 {
			return errors.New("--for: must be longer than 0: the old key is refused afterwards")
		}
		return change(c, args)
	}
	return c
}
