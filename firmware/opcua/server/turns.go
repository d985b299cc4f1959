package server

// turns bounds how many requests are worked on at a time, of those that take memory: a
// request is a multiple of its bytes once it is decoded, and so may its answer be.
type turns struct {
	busy  chan struct{}
	heavy chan struct{} // for one
}

// smallRequest is one that is decoded without waiting, bytes.
const smallRequest = 4 << 10

// take waits for the turn of a request of so many bytes, and returns what ends it.
func (t *turns) take(size int, large bool) (end func()) {
	switch {
	case size > smallMessage: // only from those who have a session
		t.heavy <- struct{}{}
		return func() { <-t.heavy }
	case size > smallRequest || large:
		t.busy <- struct{}{}
		return func() { <-t.busy }
	}
	return func() {}
}
