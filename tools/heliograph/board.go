package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"heliograph/boards"
)

// boardFlag adds the flag --board, which names every board that has an image.
func boardFlag(c *cobra.Command, board *string) {
	c.Flags().StringVar(board, "board", "", "the machine: "+boards.Names())
}

// imageBoard returns the board of a name, if images are made for it.
func imageBoard(name string) (boards.Board, error) {
	b, ok := boards.ByName(name)
	if !ok || b.Console.Device == "" {
		return b, fmt.Errorf("board %q has no image; these have one: %s", name, boards.Names())
	}
	return b, nil
}
