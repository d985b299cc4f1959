// Package accept proves on site what a link does, and writes a report that can be filed.
//
//	sample.go      what one /status.json of heliorx says of the link
//	window.go      how the link was between two of them
//	errors.go      what a count of errors says of their rate
//	recommend.go   rate, overhead and class that the measured loss asks for
//	carrier.go     TX goes on unchanged while the fibre is out
//	reverse.go     nothing that RX sends arrives at TX; drivers/probe sends it
//	judge.go       the findings and the verdict
//	report.go      the report; html.go and plot.go its page, sign.go its signature
//	witness.go     what RX itself has signed of the measurement
//	derive.go      the report once more, made of what RX has signed
//
// It is pure: no clock, no network, no file. heliorx measures all the time;
// an acceptance is the difference of two moments.
//
// It refuses to pass what was not measured: a test that was not done is a remark of the
// report, and a reading of TX that did not cross proves nothing.
package accept

import (
	"time"

	"heliograph/firmware/platform/status"
)

// Format is the version of the report's JSON form. Fields are added, never changed.
const Format = 1

// Level is how a finding weighs.
type Level string

// The levels, the worst last.
const (
	Pass    Level = "pass"
	Remark  Level = "remark"
	NotDone Level = "not done"
	Fail    Level = "fail"
)

// The verdicts.
const (
	VerdictPass    = "PASS"
	VerdictRemarks = "PASS WITH REMARKS"
	VerdictFail    = "FAIL"
)

// Finding is one thing that was looked at.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"`
	Text    string `json:"text"`         // what was measured
	Do      string `json:"do,omitempty"` // what to do about it
}

// Report is what an acceptance found.
type Report struct {
	Format         int            `json:"format"`
	Tool           string         `json:"tool"` // version of this program
	Pair           string         `json:"pair"`
	Medium         string         `json:"medium"`
	Receiver       Board          `json:"receiver"`
	Transmitter    Board          `json:"transmitter"`
	From           time.Time      `json:"from"`
	To             time.Time      `json:"to"`
	RepeatBy       time.Time      `json:"repeat_by"`
	Verdict        string         `json:"verdict"`
	Findings       []Finding      `json:"findings"`
	Recommendation Recommendation `json:"recommendation"`
	Window         Window         `json:"measured"`
	Errors         Errors         `json:"errors"`
	Limits         Limits         `json:"limits"`
	Reverse        Reverse        `json:"reverse_probe"`
	Carrier        Carrier        `json:"carrier_test"`
	Series         []Point        `json:"series"`
	// SHA-256 of the page that was written with this report, in hex
	Page string `json:"page_sha256,omitempty"`
	// SHA-1 of the certificate whose key signs, in hex; "" for a report that is not signed
	Signer string `json:"signer_thumbprint,omitempty"`
	// RX's clock at From, where RX has signed it
	ReceiverClock time.Time `json:"receiver_clock,omitzero"`
	// What RX has signed of the measurement; nil: nothing, for the reason of Unsigned
	Evidence *Evidence `json:"evidence,omitempty"`
	Unsigned string    `json:"unsigned_reason,omitempty"`

	// The link goes over the loopback: RX has signed that, or has signed nothing and its maker says so
	looped bool
}

// Board is one end.
type Board struct {
	Version       string  `json:"version,omitempty"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Epoch         uint64  `json:"epoch,omitempty"`
	Overhead      float64 `json:"overhead,omitempty"`         // TX: minimum of parity ÷ payload; 0: not known
	Rate          float64 `json:"bytes_per_second,omitempty"` // TX: of its line; 0: not known
}

// Point is a short time of the measurement.
type Point struct {
	Seconds  float64 `json:"seconds"` // since From
	Frames   float64 `json:"frames"`  // a second
	Missing  float64 `json:"missing"`
	Repaired float64 `json:"repaired"`
	Lost     float64 `json:"lost"`
	Damaged  float64 `json:"damaged"`
	Dropped  float64 `json:"dropped"`
	Delay    float64 `json:"delay_seconds"` // longest, rounded up to its bound
}

// histogram is shorter to write.
type histogram = status.Histogram
