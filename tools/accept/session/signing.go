package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heliograph/tools/accept"
)

// Our own choices. RX signs one statement a second, for all clients together, and every
// other second for the same one.
const (
	signedEvery = 2 * time.Second
	signedShare = 120         // of the length of a measurement: how often at least something is signed
	signedLast  = time.Minute // of a measurement, in which each statement that RX gives is taken: see JudgeCarrier
)

// NoStatement is an RX that signs nothing.
type NoStatement struct{ Reason string }

// Error implements error.
func (n NoStatement) Error() string { return n.Reason }

// Busy is an RX that signs for another client now.
type Busy struct{ After time.Duration }

// Error implements error.
func (b Busy) Error() string {
	return "RX has signed for other clients only: find out who asks its status port for statements"
}

// signing is how an acceptance has what it measures signed.
type signing struct {
	witness *accept.Witness // nil: RX signs nothing, for a reason
	refusal string
	last    time.Time // when the newest statement came
}

// appoint has RX sign the first sample, which is returned instead of one that it has not signed.
func (s *session) appoint(ctx context.Context, unsigned accept.Sample) (accept.Sample, error) {
	if s.Statement == nil {
		return unsigned, nil
	}
	s.signing.witness = accept.NewWitness(s.Challenge)
	first, err := s.statement(ctx)
	if none, ok := errors.AsType[NoStatement](err); ok {
		s.signing.witness, s.signing.refusal = nil, none.Reason
		s.Say("RX does not sign what it measures: " + none.Reason)
		return unsigned, nil
	}
	if err == nil {
		s.Say(fmt.Sprintf("RX signs what it measures, with the certificate %s", s.signing.witness.Thumbprint()))
	}
	return first, err
}

// statement asks RX for a signed sample, until it is this client's turn.
func (s *session) statement(ctx context.Context) (accept.Sample, error) {
	for until := time.Now().Add(mostSilent); ; {
		answer, err := s.Statement(ctx, s.signing.witness.Nonce())
		if err == nil {
			s.signing.last = time.Now()
			return s.signing.witness.Answer(s.signing.last, answer)
		}
		if _, none := errors.AsType[NoStatement](err); none || time.Now().After(until) || ctx.Err() != nil {
			return accept.Sample{}, err
		}
		busy, _ := errors.AsType[Busy](err) // of another error: a second
		if err := sleep(ctx, min(max(interval, busy.After), mostSilent)); err != nil {
			return accept.Sample{}, err
		}
	}
}

// placed sets the time of a sample as those are that RX has signed.
func (s *session) placed(sample accept.Sample, err error) (accept.Sample, error) {
	if s.signing.witness != nil && len(s.samples) > 0 && err == nil {
		s.signing.witness.Place(&sample)
	}
	return sample, err
}

// next returns the next sample of a measurement that lasts some more time. What RX signs are some
// of the samples, the last one among them.
func (s *session) next(ctx context.Context, left time.Duration) (accept.Sample, error) {
	since := time.Since(s.signing.last)
	often := left < signedLast && since >= signedEvery
	if s.signing.witness == nil || !often && left > 0 && since < max(signedEvery, s.Length/signedShare) {
		return s.sample(ctx)
	}
	return s.statement(ctx)
}

// unsigned says whether the measurement cannot end yet: its last sample has to be signed, and an
// answer may have come after the end.
func (s *session) unsigned() bool {
	return s.signing.witness != nil && !s.samples[len(s.samples)-1].Signed()
}

// witnessed returns a sample that RX has signed, where it signs.
func (s *session) witnessed(ctx context.Context) (accept.Sample, error) {
	if s.signing.witness == nil {
		return s.sample(ctx)
	}
	return s.statement(ctx)
}

// asWitnessed returns a sample that RX has signed, where it signs, for one that it has not.
func (s *session) asWitnessed(ctx context.Context, sample accept.Sample) (accept.Sample, error) {
	if s.signing.witness == nil || sample.Signed() {
		return sample, nil
	}
	return s.statement(ctx)
}

// pace is the time between two samples that RX signs, where it does.
func (s *session) pace() time.Duration {
	if s.signing.witness == nil {
		return interval
	}
	return signedEvery
}
