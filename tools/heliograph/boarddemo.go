package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
		Short: "Boot two emulated boards from the images of a release, and watch a message cross",
		Long: "Makes the cards of a pair, boots both boards in QEMU, and shows their consoles, a syslog line\n" +
			"that crosses each second, and where RX's page and OPC UA mirror are reached. Takes base images\n" +
			"beside this program, in --images, or a checkout in the working directory. Ctrl-C ends all.\n" +
			"With --duration it ends by itself, with code 1 when nothing has crossed.",
		Example: "  heliograph board-demo --images dist\n" +
			"  heliograph board-demo --duration 3m",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&o.Images, "images", "", "`FOLDER` with the base images of a release")
	c.Flags().DurationVar(&duration, "duration", 0, "end after this time (default: at Ctrl-C)")
	c.RunE = failing(func(c *cobra.Command, _ []string) error {
		// A terminal that is closed ends the boards too.
		ctx, cancel := signal.NotifyContext(c.Context(), syscall.SIGHUP)
		defer cancel()
		if duration > 0 {
			time.AfterFunc(duration, cancel)
		}
		var d *boarddemo.Demo
		err := during(c, "making the two images", func(*progress.Line) (err error) {
			d, err = boarddemo.Start(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		defer d.Close()
		showBoards(ctx, d, c.OutOrStdout())
		for _, line := range d.Lines()[:2] {
			fmt.Fprintln(c.OutOrStdout(), line)
		}
		if duration > 0 && d.Arrived.Load() == 0 {
			return errors.New("board-demo: nothing has crossed")
		}
		return nil
	})
	return c
}

// showBoards draws the demo until it ends.
func showBoards(ctx context.Context, d *boarddemo.Demo, out io.Writer) {
	if term.IsTerminal(os.Stdout.Fd()) {
		// An interrupted screen is an ended demo.
		_, _ = tea.NewProgram(boarddemo.NewScreen(d), tea.WithContext(ctx)).Run()
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
			d.Ask()
			fmt.Fprintln(out, d.Lines()[0])
		}
	}
}
