package sink

import (
	"errors"
	"sync"
)

// Standing is how a sink stands with its peer. The zero value is Connecting. Safe for
// concurrent use.
type Standing struct {
	mu    sync.Mutex
	state State
	words string
	fault error
}

// Set notes how the sink stands: fault is why it is not up, and words are shown when it is.
// It returns the state before, and the words.
func (s *Standing) Set(state State, words string, fault error) (before State, shown string) {
	if fault != nil {
		words = fault.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.state
	s.state, s.words, s.fault = state, words, fault
	return before, words
}

// Status returns how the sink stands, in words too.
func (s *Standing) Status() (State, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.shown()
}

// shown returns the words. The caller holds mu.
func (s *Standing) shown() string {
	if s.state == Connecting && s.words == "" {
		return "not connected yet"
	}
	return s.words
}

// Ready returns nil while the sink is up, else why it is not: the fault that was set.
func (s *Standing) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == Up:
		return nil
	case s.fault != nil:
		return s.fault
	}
	return errors.New(s.shown())
}
