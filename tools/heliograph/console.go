package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	board "heliograph/rootfs/console"
	"heliograph/tools/console"
	"heliograph/tools/progress"
)

// How long a board may take to answer; a bundle has its log and a self-test.
const (
	statusTimeout = 10 * time.Second
	bundleTimeout = 2 * time.Minute
)

func consoleCommand() *cobra.Command {
	var once, asJSON bool
	var bundle string
	c := &cobra.Command{
		Use:   "console [DEVICE]",
		Short: "Show a board through its serial console",
		Long: "A live screen: how the board stands, the history of its link, and what it says. Keys go to the\n" +
			"board as they are typed; d leaves a diagnostics bundle in the working directory. Without DEVICE\n" +
			"it takes the one USB serial adapter there is; tcp://HOST:PORT is a terminal server, or a board of\n" +
			"\"board-demo\". Without a terminal it prints the screen once.",
		Example: "  heliograph console\n" +
			"  heliograph console --json /dev/ttyUSB0\n" +
			"  heliograph console tcp://127.0.0.1:4002\n" +
			"  heliograph console --bundle press-hall.txt",
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&once, "once", false, "print the screen once")
	c.Flags().BoolVar(&asJSON, "json", false, "print the status once, as JSON")
	c.Flags().StringVar(&bundle, "bundle", "", "write a diagnostics bundle to the new `FILE`")
	c.MarkFlagsMutuallyExclusive("once", "json", "bundle")
	c.RunE = failing(func(c *cobra.Command, args []string) error {
		device, err := consoleDevice(args)
		if err != nil {
			return err
		}
		port, err := console.Open(device)
		if err != nil {
			return err
		}
		defer port.Close()
		switch {
		case bundle != "":
			data, err := askBoard(c, port, device)
			if err != nil {
				return err
			}
			return console.Save(bundle, data)
		case once || asJSON || !onTerminal(c.OutOrStdout()):
			return during(c, "waiting for the board at "+device, func(l *progress.Line) error {
				return printStatus(l.Writer(c.OutOrStdout()), port, asJSON)
			})
		}
		return console.Watch(c.Context(), port, device)
	})
	return c
}

// askBoard returns a board's diagnostics.
func askBoard(c *cobra.Command, port console.Port, device string) (bundle []byte, err error) {
	err = during(c, "waiting for the board at "+device, func(*progress.Line) error {
		bundle, err = console.Ask(port, 'd', "diagnostics", bundleTimeout)
		return err
	})
	return bundle, err
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(f.Fd())
}

func consoleDevice(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	return console.Find()
}

// allLines is more than a status has, and allColumns more than a line of it.
const (
	allLines   = 1000
	allColumns = 1000
)

// columns is the width of a terminal; a file or a pipe takes lines of any length.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(f.Fd()); err == nil {
			return width
		}
	}
	return allColumns
}

func printStatus(to io.Writer, port console.Port, asJSON bool) error {
	data, err := console.Ask(port, board.Enquiry, "status", statusTimeout)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(to, data)
	}
	var s board.Status
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("console: the board's status: %v: are board and PC of the same version?", err)
	}
	_, err = io.WriteString(to, board.Screen(s, board.Size{Columns: columns(to), Lines: allLines}))
	return err
}

// printJSON prints what a board calls JSON, without a byte that a terminal would
// act on.
func printJSON(to io.Writer, data []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return fmt.Errorf("console: the board's status: %v", err)
	}
	controls := regexp.MustCompile(`[\x{7f}-\x{9f}]`)
	text := controls.ReplaceAllStringFunc(strings.ToValidUTF8(line.String(), "\ufffd"), func(s string) string {
		return fmt.Sprintf(`\u%04x`, []rune(s)[0])
	})
	_, err := fmt.Fprintln(to, text)
	return err
}
