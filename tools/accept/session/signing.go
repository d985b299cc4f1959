package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"heliograph/tools/accept"
)

// Our own choices. RX signs one statement a second, for all clients together, and every
// other second for the same one.
const (
	signedEvery = 2 * time.Second
	signedShare = 120         // of the length of a measurement: how often at least something is signed
	signedLast  = time.Minute // of a measurement, in which each statement that RX gives is taken: see JudgeCarrier
	signedLeast = 4           // at least this part of the statements of a measurement is to come
	mostBusy    = 5 * time.Minute
)

// NoStatement is an RX that signs nothing.
type NoStatement struct{ Reason string }

// Error implements error.
func (n NoStatement) Error() string { return n.Reason }

// Busy is an RX that signs for another client now.
type Busy struct{ After time.Duration }

// Error implements error.
func (b Busy) Error() string {
	return "RX has signed for other clients only: " + askedByOthers
}

const askedByOthers = "find out who asks its status port for statements"

// signing is how an acceptance has what it measures signed.
type signing struct {
	witness *accept.Witness // nil: RX signs nothing, for a reason
	refusal string
	last    time.Time // when the newest statement came
	number  int       // of statements that came
	busy    bool      // at the newest question RX signed for another client
	others  int       // how often it did
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

// statement asks RX for a signed sample, until it is this client's turn. Others may ask for
// part of a measurement, but not for as long as all of it.
func (s *session) statement(ctx context.Context) (accept.Sample, error) {
	begin := time.Now()
	for {
		sample, err := s.ask(ctx)
		busy, isBusy := errors.AsType[Busy](err)
		timeout, wait := mostSilent, interval
		if isBusy {
			timeout, wait = max(mostSilent, min(s.Length, mostBusy)), turn(busy.After)
		}
		_, none := errors.AsType[NoStatement](err)
		_, unread := errors.AsType[unreadable](err)
		if err == nil || none || unread || time.Since(begin) > timeout || ctx.Err() != nil {
			return sample, err
		}
		if err := sleep(ctx, wait); err != nil {
			return accept.Sample{}, err
		}
	}
}

// unreadable is an answer that is not a statement for this report.
type unreadable struct{ error }

// ask asks RX once for a signed sample.
func (s *session) ask(ctx context.Context) (accept.Sample, error) {
	answer, err := s.Statement(ctx, s.signing.witness.Nonce())
	if _, s.signing.busy = errors.AsType[Busy](err); s.signing.busy {
		s.signing.others++
	}
	if err != nil {
		return accept.Sample{}, err
	}
	s.signing.last = time.Now()
	sample, err := s.signing.witness.Answer(s.signing.last, answer)
	if err != nil {
		return sample, unreadable{err}
	}
	s.signing.number++
	return sample, nil
}

// turn is when to ask again, of an RX that says after how many seconds, rounded up. It is random,
// so that of clients behind one address, whose turns are shared, not always the same one comes first.
func turn(after time.Duration) time.Duration {
	return max(interval/4, min(after, mostSilent)-rand.N(interval))
}

// placed sets the time of a sample as those are that RX has signed.
func (s *session) placed(sample accept.Sample, err error) (accept.Sample, error) {
	if s.signing.witness != nil && len(s.samples) > 0 && err == nil {
		s.signing.witness.Place(&sample)
	}
	return sample, err
}

// next returns the next sample of a measurement that lasts some more time. What RX signs are some
// of the samples, the last one among them; while RX signs for others, samples that it has not
// signed are taken.
func (s *session) next(ctx context.Context, left time.Duration) (accept.Sample, error) {
	since := time.Since(s.signing.last)
	often := left < signedLast && since >= signedEvery
	switch {
	case s.signing.witness == nil || !often && left > 0 && since < max(signedEvery, s.Length/signedShare):
		return s.sample(ctx)
	case left <= 0:
		return s.statement(ctx)
	case s.signing.busy:
		if err := sleep(ctx, min(left, rand.N(interval))); err != nil {
			return accept.Sample{}, err
		}
	}
	sample, err := s.ask(ctx)
	switch _, unread := errors.AsType[unreadable](err); {
	case err == nil || unread:
		return sample, err
	case s.signing.busy:
		return s.sample(ctx)
	}
	return s.statement(ctx)
}

// unsigned says whether the measurement cannot end yet: its last sample has to be signed, and an
// answer may have come after the end.
func (s *session) unsigned() bool {
	return s.signing.witness != nil && !s.samples[len(s.samples)-1].Signed()
}

// enough returns an error when RX has signed too few samples of the measurement, for others.
func (s *session) enough() error {
	least := int(min(s.Length/signedEvery, signedShare) / signedLeast)
	if s.signing.witness == nil || s.signing.others == 0 || s.signing.number >= least {
		return nil
	}
	return fmt.Errorf("RX has signed %d statements in %s, and refused %d for other clients; the report takes at "+
		"least %d: %s, and measure again", s.signing.number, s.Length, s.signing.others, least, askedByOthers)
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
