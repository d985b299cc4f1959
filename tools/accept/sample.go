package accept

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
)

// Our own bounds on what a status port says.
const (
	maxText    = 200 // bytes of a name or version
	maxCounter = 1 << 60
	maxBins    = 64
	maxClasses = 8
	maxMeans   = 16
	maxProbes  = 1 << 20 // by one means
)

// Sample is what heliorx says of the link at one moment.
type Sample struct {
	At      time.Time
	Pair    string
	Version string
	Uptime  float64 // seconds
	Link    status.Link
	status.Measurement
	Corrected uint64 // bytes that a serial line's own code corrected
	Overruns  uint64 // times that a serial port lost bytes, because the machine was too slow
	TX        selfreport.Report
	Probe     *machine.Probe // the newest that RX's board has sent; nil: RX is not a board

	proof  *Proof    // that RX has signed it; nil: it has not
	signer *Witness  // who asked for the proof
	clock  time.Time // RX's, in the proof
}

// ParseSample reads a /status.json that came at a time.
func ParseSample(at time.Time, body []byte) (Sample, error) {
	var in struct {
		Role, Pair, Version string
		UptimeSeconds       float64 `json:"uptime_seconds"`
		Link                status.Link
		Measurement         *status.Measurement
		Transmitter         map[string]string
		Boards              []status.Board
		Counters            []struct {
			Part   string
			Values map[string]uint64
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Sample{}, errors.New("what answers is not the status port of a board: its /status.json does not decode")
	}
	switch {
	case in.Role == "tx":
		return Sample{}, errors.New("this is heliotx: the link is measured at heliorx, where it ends")
	case in.Role != "rx":
		return Sample{}, errors.New("what answers is not the status port of heliorx")
	case in.Measurement == nil:
		return Sample{}, errors.New("this heliorx does not measure its link: it is older than this program")
	}
	s := Sample{At: at, Pair: clip(in.Pair), Version: clip(in.Version), Uptime: in.UptimeSeconds, Link: in.Link,
		Measurement: *in.Measurement}
	s.Link.Medium = clip(s.Link.Medium)
	if err := s.check(); err != nil {
		return Sample{}, err
	}
	for _, c := range in.Counters {
		switch c.Part {
		case "codeword":
			s.Corrected = min(c.Values["corrected_bytes"], maxCounter)
		case "medium":
			s.Overruns = min(c.Values["overruns"], maxCounter) + min(c.Values["buffer_overruns"], maxCounter)
		}
	}
	for key, value := range in.Transmitter {
		if len(value) <= 4*maxText && !strings.Contains(key, "/") {
			s.TX.Add(selfreport.Entry{Key: key, Value: value})
		}
	}
	for _, b := range in.Boards {
		if b.Role == "rx" {
			s.Probe = bounded(b.Probe)
		}
	}
	s.TX.Version = clip(s.TX.Version)
	if l := s.TX.Link; l != nil && !(l.Overhead >= 0 && l.Overhead <= 10 && l.BytesPerSecond >= 0 &&
		l.BytesPerSecond < 1e12) {
		s.TX.Link = nil
	}
	return s, nil
}

// bounded is a probe of which each part is bounded.
func bounded(p *machine.Probe) *machine.Probe {
	if p == nil {
		return nil
	}
	p.Key, p.Reason = clip(p.Key), clip(p.Reason)
	p.Sent = p.Sent[:min(len(p.Sent), maxMeans)]
	for i := range p.Sent {
		m := &p.Sent[i]
		m.Name, m.Error, m.Count = clip(m.Name), clip(m.Error), min(max(m.Count, 0), maxProbes)
	}
	return p
}

// check refuses counts that cannot be.
func (s *Sample) check() error {
	wrong := errors.New("the status port's measurement cannot be: histograms or counts are malformed")
	if !(s.Uptime >= 0 && s.Uptime < 1e12) || !(s.TransmitterUptimeSeconds >= 0 && s.TransmitterUptimeSeconds < 1e12) ||
		len(s.Classes) > maxClasses || !sound(s.Bursts) || !sound(s.Delay) {
		return wrong
	}
	for i := range s.Classes {
		s.Classes[i].Class = clip(s.Classes[i].Class)
		if !sound(s.Classes[i].Needed) || s.Classes[i].Beyond > maxCounter {
			return wrong
		}
	}
	counts := []uint64{s.Expected, s.Missing, s.Late, s.Sequence, s.Link.Frames, s.Link.Bytes}
	for _, n := range []*uint64{s.Link.CRCErrors, s.Link.AuthFailures, s.Link.Replayed, s.Link.Repaired, s.Link.Lost,
		s.Link.Dropped} {
		counts = append(counts, known(n))
	}
	if slices.Max(counts) > maxCounter {
		return wrong
	}
	return nil
}

// sound says whether a histogram has rising bounds and a count more than those.
func sound(h histogram) bool {
	if len(h.Bounds) == 0 || len(h.Bounds) > maxBins || len(h.Counts) != len(h.Bounds)+1 ||
		slices.Max(h.Counts) > maxCounter {
		return false
	}
	for i, b := range h.Bounds {
		if !(b > 0) || math.IsInf(b, 0) || i > 0 && b <= h.Bounds[i-1] {
			return false
		}
	}
	return true
}

// known is a counter, 0 where it is left out.
func known(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// clip bounds a text, and leaves out what controls a terminal.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u202e' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return text.Clip(s, maxText)
}

// same returns why two samples are not of one run of heliorx.
func (s *Sample) same(later *Sample) error {
	switch {
	case s.Pair != later.Pair || s.Link.Medium != later.Link.Medium:
		return fmt.Errorf("another heliorx answers now: pair %q, it was %q", later.Pair, s.Pair)
	case later.Uptime < s.Uptime || later.Expected < s.Expected || later.Link.Frames < s.Link.Frames:
		return errors.New("heliorx was restarted meanwhile: measure again")
	}
	return nil
}
