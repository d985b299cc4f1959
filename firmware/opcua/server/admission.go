package server

// admission bounds how many requests that use much memory are handled at a time: decoded, a
// request is a multiple of its bytes, and so may its response be.
type admission struct {
	shared    chan struct{}
	exclusive chan struct{} // holds one
	scanning  chan struct{} // for requests that read much from disk, so that others do not wait for them
}

// acquire waits until a request of so many bytes may be handled, and returns the function
// that ends its admission.
func (t *admission) acquire(size int, sv service) (end func()) {
	switch {
	case size > smallMessage: // only with an activated session
		t.exclusive <- struct{}{}
		return func() { <-t.exclusive }
	case sv.scans:
		t.scanning <- struct{}{}
		return func() { <-t.scanning }
	case size > smallRequest || sv.large:
		t.shared <- struct{}{}
		return func() { <-t.shared }
	}
	return func() {}
}
