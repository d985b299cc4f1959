package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/tools/demo"
	"heliograph/tools/progress"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	var loss, corrupt string
	var asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a simulated plant's messages cross an impaired one-way link",
		Long: "Starts a simulated plant (MQTT brokers, syslog senders), heliotx and heliorx as real processes,\n" +
			"and an impaired link between them; all on loopback, and gone afterwards. Ends with code 1 when\n" +
			"anything was lost, altered or out of order, or when one of the two programs ended by itself.\n\n" +
			"Key c of the screen cuts the link and joins it again, to see the outage heal; --cut-after and\n" +
			"--cut-for do the same without a terminal. At its end the demo joins a link that is cut.",
		Example: "  heliograph demo\n" +
			"  heliograph demo --loss 10% --duration 30s --cut-after 5s --cut-for 5s --json",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.DurationVar(&o.Duration, "duration", 0, "end after this time (default: at Ctrl-C)")
	f.StringVar(&loss, "loss", "5%", "`share` of frames that the link loses; on a uart, that lose a byte")
	f.StringVar(&corrupt, "corrupt", "1%", "`share` of frames in which the link flips bits; on a uart, one bit")
	f.StringVar(&o.Medium, "medium", "udp", "udp or uart (a pair of pseudo terminals at 921600 baud)")
	f.Float64Var(&o.Rate, "rate", 0, "messages a second from each of four senders, 1 to 2000 (default 100, on a "+
		"uart 40)")
	f.DurationVar(&o.CutAfter, "cut-after", 0, "cut the link this long after the start, for --cut-for")
	f.DurationVar(&o.CutFor, "cut-for", 0, "how long the link is cut (default: it is not)")
	f.BoolVar(&asJSON, "json", false, "print a machine-readable summary at the end, and no screen")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if o.Loss, err = share(loss); err != nil {
			return fmt.Errorf("--loss: %w", err)
		}
		if o.Corrupt, err = share(corrupt); err != nil {
			return fmt.Errorf("--corrupt: %w", err)
		}
		if o.Medium != "udp" && o.Medium != "uart" {
			return errors.New("--medium: must be udp or uart")
		}
		if !c.Flags().Changed("rate") {
			o.Rate = map[string]float64{"udp": 100, "uart": 40}[o.Medium]
		}
		if o.Duration < 0 {
			return errors.New("--duration: must not be negative")
		}
		if o.CutAfter < 0 || o.CutFor < 0 || o.CutAfter > 0 && o.CutFor == 0 {
			return errors.New("--cut-after: takes --cut-for, and neither is negative")
		}
		if o.Duration > 0 && o.CutFor > 0 && o.CutAfter+o.CutFor > o.Duration {
			return errors.New("--cut-for: the link would still be cut at the end of --duration")
		}
		if !(o.Rate >= 1) || o.Rate > 2000 {
			return errors.New("--rate: must be from 1 to 2000")
		}
		return failing(func(c *cobra.Command, _ []string) error { return runDemo(c, o, asJSON) })(c, nil)
	}
	return c
}

// share reads "5%" or "0.05".
func share(s string) (float64, error) {
	number, isPercent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if isPercent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v < 1) {
		return 0, fmt.Errorf("%q is not a share: write 5%% or 0.05", s)
	}
	return v, nil
}

func runDemo(c *cobra.Command, o demo.Options, asJSON bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Programs = filepath.Dir(self)
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	shown := make(chan struct{})
	close(shown)
	line := progress.Start(c.ErrOrStderr(), "starting the plant and both programs")
	s, err := demo.Run(ctx, o, func(d *demo.Demo) {
		shown = make(chan struct{})
		line.End()
		go func() {
			defer close(shown)
			show(ctx, cancel, d, asJSON, c.OutOrStdout())
			<-ctx.Done()
			line = progress.Start(c.ErrOrStderr(), "waiting for what is under way")
		}()
		if o.Duration > 0 {
			time.AfterFunc(o.Duration, cancel)
		}
	})
	cancel()
	<-shown
	line.End()
	if err != nil {
		return err
	}
	return report(s, asJSON, c.OutOrStdout())
}

// show draws the demo until it ends, or ends it when its user wants to.
func show(ctx context.Context, end func(), d *demo.Demo, asJSON bool, out io.Writer) {
	switch {
	case asJSON:
	case term.IsTerminal(os.Stdout.Fd()):
		_, _ = tea.NewProgram(demo.NewScreen(d), tea.WithContext(ctx)).Run() // an interrupted screen is an ended demo
		end()
	default:
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(2 * time.Second):
				fmt.Fprintln(out, d.Line())
			}
		}
	}
}

func report(s demo.Summary, asJSON bool, out io.Writer) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(out, strings.Join(s.Lines(), "\n"))
	}
	if !s.OK {
		return errors.New(strings.Join(s.Reasons, "; "))
	}
	return nil
}
