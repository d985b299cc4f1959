package flash

import (
	"context"
	"fmt"
	"os"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/release"
	"heliograph/tools/image"
)

// Replacement is one card of a pair whose other card stays.
type Replacement struct {
	Role string // tx or rx
	Key  string // file with the key of the pair
	Side
	Pair // without its sides and KeepKey
}

// Replace makes a new card for one board of a pair: with the pair's key, an identity of its
// own, and no memory of the runs before. What the other side has to accept then is said.
func (d Writer) Replace(ctx context.Context, r Replacement) error {
	if err := d.Check(r.Target); err != nil {
		return err
	}
	given, err := pairkey.Read(r.Key)
	if err != nil {
		return fmt.Errorf("flash: %s: %w", r.Key, err)
	}
	k, err := pairKey(&given, r.Config)
	defer remove(k.made)
	if err != nil {
		return err
	}
	u, err := r.unit(given)
	if err == nil {
		err = d.updates(r.Pair, u)
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(d.Out, "making the image of %s\n", u.host)
	if err := r.image(dir, u); err != nil {
		return err
	}
	if err := d.Card(ctx, u.image, u.target); err != nil {
		return err
	}
	fmt.Fprint(d.Out, u.label(u.counterpart()), u.after())
	return nil
}

// unit reads the configuration of the one board.
func (r Replacement) unit(key [pairkey.Size]byte) (*unit, error) {
	u := &unit{role: r.Role, Side: r.Side, board: r.Board, target: r.Target, check: checkOf(key)}
	c, _, err := r.files(r.Board).Role(r.Role)
	if err != nil {
		return nil, refused("the configuration has faults", err)
	}
	u.pair, u.link = c.Pair, c.Link
	return u, u.readNetwork()
}

// counterpart is what is known of the board that stays: it has the same link.
func (u *unit) counterpart() *unit {
	role := map[string]string{"tx": "rx", "rx": "tx"}[u.role]
	return &unit{role: role, pair: u.pair, board: u.board, link: u.link, host: "the " + map[string]string{
		"tx": "transmitter", "rx": "receiver"}[role] + " of " + u.pair}
}

// after is what remains to be done.
func (u *unit) after() string {
	if u.role == "tx" {
		return "The receiver refuses the new card until you accept it there: on its console with key e, or on a\n" +
			"host with \"heliograph epoch accept\". The plant's OPC UA servers have to trust the new certificate.\n"
	}
	return "The transmitter needs nothing. OPC UA clients have to trust the new certificate, and what the old card\n" +
		"had stored (spool, history) is gone.\n"
}

// updates notes the key that updates of the boards must be signed with, and says in one
// line what it means that there is none.
func (d Writer) updates(p Pair, units ...*unit) error {
	if p.UpdateKey == "" {
		fmt.Fprintln(d.Out, NoUpdates)
		return nil
	}
	key, err := release.ReadKey(p.UpdateKey)
	if err != nil {
		return fmt.Errorf("flash: --update-key: %w", err)
	}
	for _, u := range units {
		u.updateKey = image.KeyID(key)
	}
	return nil
}

// updates is what a label says of them.
func (u *unit) updates() string {
	if u.updateKey == "" {
		return fmt.Sprintf("%d, takes no update: made without --update-key", u.release)
	}
	return fmt.Sprintf("%d, takes updates from %d on that are signed with key %s", u.release, u.release, u.updateKey)
}

// NoUpdates is what an image without a key of updates means.
const NoUpdates = "Without --update-key a board takes no update: give one, or add it to the card later with " +
	"\"heliograph image configure --update-key\"."
