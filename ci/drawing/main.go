// Program drawing draws terminals for documents. "drawing svg" turns what
// "tmux capture-pane -e -p" prints into SVG, which is text and stays small in the
// repository. "drawing board" is a board on a pseudo terminal, whose name it prints, for that of
// heliograph console.
//
// It refuses to draw what a terminal would: cursor movements and the like are left out. ci/drawing.sh
// runs it.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "drawing:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "svg":
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, draw(string(text)))
		return err
	case len(args) == 1 && args[0] == "board":
		return board(out)
	}
	return fmt.Errorf("want svg or board")
}
