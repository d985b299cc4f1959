package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"heliograph/boards"
)

// boardFlag adds the flag --board, which names every board that has an image.
func boardFlag(c *cobra.Command, board *string) {
	c.Flags().StringVar(board, "board", "", "the machine: "+boards.Names())
}

// imageBoard returns the board of a name, if images are made for it.
func imageBoard(name string) (boards.Board, error) {
	if name == "" {
		return boards.Board{}, errors.New("--board is missing: name one of " + boards.Names())
	}
	b, ok := boards.ByName(name)
	if !ok || b.Console.Device == "" {
		return b, fmt.Errorf("board %q has no image; these have one: %s", name, boards.Names())
	}
	return b, nil
}

// releaseNumber is the value of a flag --release, for which 0 is that it was not given.
type releaseNumber struct{ n *uint64 }

func (releaseNumber) Type() string { return "N" }

func (r releaseNumber) String() string {
	if r.n == nil || *r.n == 0 {
		return ""
	}
	return strconv.FormatUint(*r.n, 10)
}

func (r releaseNumber) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return errors.New("releases are whole numbers from 1 on")
	}
	*r.n = n
	return nil
}
