package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/regular"
	"heliograph/tools/decode"
	"heliograph/tools/progress"
	"heliograph/tools/wireshark"
)

// decodeOptions are the flags of the command.
type decodeOptions struct {
	key, medium, dissector string
	json                   bool
	port                   uint16
}

func decodeCommand() *cobra.Command {
	var o decodeOptions
	c := &cobra.Command{
		Use:   "decode FILE",
		Short: "Make a captured link readable",
		Long: "FILE is a pcap or pcapng file with the link's UDP or Ethernet frames, or, with --medium uart,\n" +
			"the bytes that a UART received; - is standard input. Each frame becomes a line. With --key the\n" +
			"tags are checked and the records of each source frame follow it; for that the capture needs a\n" +
			"hello, sent 4 times a second. Records lost or cut are not put together again.\n\n" +
			"--dissector writes a plugin for Wireshark instead, which shows the headers of frames.",
		Example: "  heliograph decode --key pair.key link.pcap\n" +
			"  tcpdump -i eth1 -w - ether proto 0x88b5 | heliograph decode --json --key pair.key -\n" +
			"  heliograph decode --dissector heliograph.lua",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case o.dissector != "" && len(args) > 0:
				return errors.New("--dissector takes no other FILE: leave one out")
			case o.dissector != "":
				return nil
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if o.dissector != "" {
				if filepath.Ext(o.dissector) != ".lua" {
					return fmt.Errorf("--dissector %s: the name must end in .lua, or Wireshark does not load it",
						o.dissector)
				}
				return failing(func(*cobra.Command, []string) error { return writeDissector(o.dissector) })(c, args)
			}
			if o.medium != "packets" && o.medium != "uart" {
				return fmt.Errorf("--medium %q must be packets or uart", o.medium)
			}
			return failing(func(c *cobra.Command, args []string) error { return o.run(c, args[0]) })(c, args)
		},
	}
	c.Flags().StringVar(&o.key, "key", "", "pair key `FILE`")
	c.Flags().StringVar(&o.medium, "medium", "packets", "packets or uart")
	c.Flags().Uint16Var(&o.port, "port", 0, "only UDP to this port (default: all that begins like a frame)")
	c.Flags().StringVar(&o.dissector, "dissector", "", "write the plugin for Wireshark to this `FILE`")
	c.Flags().BoolVar(&o.json, "json", false, "one JSON object per frame")
	return c
}

// writeDissector writes the script, over an older one.
func writeDissector(path string) error {
	return os.WriteFile(path, []byte(wireshark.Dissector), 0o644)
}

func (o *decodeOptions) run(c *cobra.Command, path string) error {
	var key *wire.PairKey
	if o.key != "" {
		k, err := pairkey.Read(o.key)
		if err != nil {
			return err
		}
		key = (*wire.PairKey)(&k)
	}
	in := c.InOrStdin()
	if path != "-" {
		f, err := openCapture(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	shown := c.ErrOrStderr()
	if onTerminal(c.OutOrStdout()) {
		shown = io.Discard // the frames are progress enough
	}
	line := progress.Start(shown, "decoding "+path)
	defer line.End()
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			in = line.Reader(in, info.Size())
		}
	}
	out := bufio.NewWriter(c.OutOrStdout())
	err := o.decode(decode.New(key), in, out, line.Writer(c.ErrOrStderr()))
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return fmt.Errorf("decode: %s: %w", path, err)
	}
	return nil
}

// openCapture opens a file, or a pipe that a capture is written to.
func openCapture(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return regular.Open(path) // which says what to name
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, regular.Explain(path, err)
	}
	return f, nil
}

// decode writes the frames to out and, at the end, what was no frame to notes.
func (o *decodeOptions) decode(d *decode.Decoder, in io.Reader, out *bufio.Writer, notes io.Writer) error {
	tags := map[string]uint64{}
	show := func(f decode.Frame) error {
		tags[f.Tag]++
		if o.json {
			return json.NewEncoder(out).Encode(f)
		}
		_, err := fmt.Fprintln(out, f.Text())
		return err
	}
	var err error
	if o.medium == "uart" {
		counts, lineErr := d.Line(in, show)
		err = lineErr
		fmt.Fprintf(notes, "%d symbols corrected, %d words beyond repair, %d slips, %d bytes skipped\n",
			counts.CorrectedSymbols, counts.FailedWords, counts.Slips, counts.SkippedBytes)
	} else {
		others, fileErr := d.Capture(in, o.port, show)
		err = fileErr
		if others > 0 {
			fmt.Fprintf(notes, "packets without a frame of the link: %d\n", others)
		}
	}
	if o.key != "" && err == nil {
		fmt.Fprint(notes, unopened(tags))
	}
	return err
}

// unopened says in a line how many frames did not open with the key, and what that
// means; nothing when all did.
func unopened(tags map[string]uint64) string {
	opened, bad, unknown := tags[decode.OK], tags[decode.Bad], tags[decode.NoHello]
	switch {
	case bad+unknown == 0 && opened > 0:
		return ""
	case opened > 0:
		return fmt.Sprintf("%d of %d frames did not open with this key: %d forged, damaged or of another pair, "+
			"%d before the first hello of their run\n", bad+unknown, opened+bad+unknown, bad, unknown)
	case bad > 0:
		return fmt.Sprintf("none of %d frames opened: this is not the key of the pair that sent them "+
			"(heliograph key show)\n", bad+unknown)
	case unknown > 0:
		return fmt.Sprintf("none of %d frames opened: the capture has no hello, which is sent 4 times a second\n",
			unknown)
	}
	return "no whole frame to try the key with\n"
}
