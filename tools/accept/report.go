package accept

import (
	"errors"
	"time"
)

// repeatAfter is when an acceptance is due again: each quarter.
const repeatAfter = 91 * 24 * time.Hour

// maxPoints is how many points a plot has.
const maxPoints = 300

// New returns the report of a measurement: samples are of the time with light, oldest first.
func New(tool string, samples []Sample, reverse Reverse, carrier Carrier) (*Report, error) {
	return newReport(tool, samples, silent(samples), reverse, carrier)
}

// newReport returns that of a measurement in which no frame arrived for some seconds at most.
// Where RX has signed samples, it is made of those alone.
func newReport(tool string, samples []Sample, silence float64, reverse Reverse, carrier Carrier) (*Report, error) {
	if signed := signedOnly(samples); len(signed) > 0 {
		samples = signed
	}
	if len(samples) < 2 {
		return nil, errors.New("the measurement is too short: it takes two answers of heliorx")
	}
	first, last := &samples[0], &samples[len(samples)-1]
	w, err := Between(first, last)
	if err != nil {
		return nil, err
	}
	w.Silent = silence
	r := &Report{
		Format: Format, Tool: tool, Pair: last.Pair, Medium: last.Link.Medium,
		Receiver: Board{Version: last.Version, UptimeSeconds: last.Uptime},
		Transmitter: Board{Version: last.TX.Version, UptimeSeconds: last.TransmitterUptimeSeconds,
			Epoch: last.Link.Epoch},
		From: first.At.UTC(), To: last.At.UTC(),
		RepeatBy: last.At.UTC().Add(repeatAfter).Truncate(24 * time.Hour),
		Window:   w, Limits: LimitsOf(last.Link.Medium, last.TX.Link),
		Reverse: reverse, Carrier: carrier, Series: Points(samples, maxPoints),
		ReceiverClock: first.clock, Evidence: evidence(samples, &reverse, &carrier),
		looped: reverse.OneMachine && (first.proof == nil || first.Link.Loopback),
	}
	if l := last.TX.Link; l != nil {
		r.Transmitter.Overhead, r.Transmitter.Rate = l.Overhead, l.BytesPerSecond
	}
	r.Errors = EstimateErrors(r.Medium, &r.Window)
	r.Recommendation = Recommend(r.Medium, &r.Window, &r.Errors, last.TX.Link)
	r.Judge()
	return r, nil
}
