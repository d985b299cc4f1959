package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/tools/boarddemo"
	"heliograph/tools/progress"
)

func boardDemoCommand() *cobra.Command {
	o := boarddemo.Options{Source: ".", Version: version}
	var duration time.Duration
	c := &cobra.Command{
		Use:   "board-demo",
		Short: "Boot two emulated boards from their cards, or a pair of its own, and join them by a line",
		Long: "Boots the cards of a pair for board virt in QEMU, as \"flash --pair\" makes them as files, and joins\n" +
			"the boards by a serial line that leads one way. What the boards keep stays in the files. Without\n" +
			"--tx and --rx it makes a pair of its own, with a plant and a collector, from base images beside this\n" +
			"program, in --images, or a checkout in the working directory.\n\n" +
			"It says where this machine reaches the boards: pages, OPC UA mirror and consoles, at the ports of the\n" +
			"configuration where they are free. On its screen key c cuts the line, as who pulls the fibre, and\n" +
			"joins it again; key b wires a way back, which an acceptance has to find; q or Ctrl-C ends both boards.\n" +
			"With --duration it ends by itself, with code 1 when nothing has crossed.",
		Example: "  heliograph board-demo --tx tx.img --rx rx.img\n" +
			"  heliograph board-demo --images dist --duration 3m",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&o.TX, "tx", "", "`FILE.img` with the card of TX")
	c.Flags().StringVar(&o.RX, "rx", "", "`FILE.img` with the card of RX")
	c.Flags().StringVar(&o.Images, "images", "", "`FOLDER` with the base images of a release")
	c.Flags().DurationVar(&duration, "duration", 0, "end after this time (default: at Ctrl-C)")
	c.MarkFlagsRequiredTogether("tx", "rx")
	c.MarkFlagsMutuallyExclusive("tx", "images")
	c.RunE = failing(func(c *cobra.Command, _ []string) error {
		// A terminal that is closed ends the boards too.
		ctx, cancel := signal.NotifyContext(c.Context(), syscall.SIGHUP)
		defer cancel()
		if duration > 0 {
			time.AfterFunc(duration, cancel)
		}
		doing := "making the two images"
		if o.TX != "" {
			doing = "starting both boards"
		}
		var d *boarddemo.Demo
		err := during(c, doing, func(*progress.Line) (err error) {
			d, err = boarddemo.Start(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		defer d.Close()
		fmt.Fprintln(c.ErrOrStderr(), strings.Join(d.Places(), "\n"))
		err = showBoards(ctx, d, c.OutOrStdout())
		fmt.Fprintln(c.OutOrStdout(), strings.Join(d.Crossing(), "\n"))
		if err == nil && duration > 0 && !d.Crossed() {
			err = errors.New("board-demo: nothing has crossed")
		}
		return err
	})
	return c
}

// showBoards draws the demo until it ends. Without a terminal it prints what has crossed, and
// the end of an emulator is an error.
func showBoards(ctx context.Context, d *boarddemo.Demo, out io.Writer) error {
	if term.IsTerminal(os.Stdout.Fd()) {
		// An interrupted screen is an ended demo.
		_, _ = tea.NewProgram(boarddemo.NewScreen(d), tea.WithContext(ctx)).Run()
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Second):
		}
		if err := d.Fault(); err != nil {
			return err
		}
		d.Ask()
		fmt.Fprintln(out, d.Crossing()[0])
	}
}
