package flash

import (
	"fmt"
	"strings"
)

// maxCard is the largest drive that is plausibly a card: what is sold as 128 GB,
// which differs by a few megabytes.
const maxCard = 129e9

// Refusal says why a drive may not be overwritten with an image of need bytes, or
// nil. Override takes the operator's word for all but what can never be right:
// the disk that this machine runs from, and an image that does not fit.
func (d Drive) Refusal(need int64, override bool) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("flash: %s "+format, append([]any{d.Path}, args...)...)
	}
	switch {
	case d.System:
		return no("is the disk that this computer runs from, and is never written: name another")
	case d.Size == 0:
		return no("has no medium: put a card in")
	case d.Size < need:
		return no("holds %s and the image needs %s: take a larger card", Size(d.Size), Size(need))
	case d.Sector > sector:
		return no("has sectors of %d bytes, and boards boot from such with %d: name another", d.Sector, sector)
	case override:
		return nil
	case d.Swap:
		return no("is swapped to, so it is this computer's own: name another")
	case len(d.Mounts) > 0 && !d.Frees:
		return no("is mounted on %s: look whether it is the right one, then unmount it: umount %s*",
			printable(d.Mounts), d.Path)
	case len(d.Holders) > 0:
		return no("is part of %s: name another", printable(d.Holders))
	case !d.Removable:
		return no("is not removable, so it is hardly a card: name another, or say --override")
	case d.ReadOnly:
		return no("is read-only: move the card's lock, or take another card")
	case d.Size > maxCard:
		return no("holds %s, and a card no more than 128 GB: name another, or say --override", Size(d.Size))
	}
	return nil
}

// What the engineer reads at the end.
const ejected = "ejected: take it out"

// printable names things without what would disturb a terminal.
func printable(list []string) string {
	return strings.Trim(fmt.Sprintf("%q", strings.Join(list, ", ")), `"`)
}
