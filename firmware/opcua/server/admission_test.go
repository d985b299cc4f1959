package server

import (
	"testing"
	"testing/synctest"
)

// TestAdmissionBoundsLargeRequests: as many large requests as configured are admitted, one that
// is larger than a message without a session alone, and small ones always.
func TestAdmissionBoundsLargeRequests(t *testing.T) {
	for name, c := range map[string]struct {
		size    int
		service service
		want    int // admitted together
	}{
		"small":                    {smallRequest, service{}, 10},
		"with a large answer":      {100, service{large: true}, maxConcurrent},
		"large":                    {smallRequest + 1, service{}, maxConcurrent},
		"reading from disk":        {100, service{scans: true}, maxScanning},
		"larger than smallMessage": {smallMessage + 1, service{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := admission{shared: make(chan struct{}, maxConcurrent), exclusive: make(chan struct{}, 1),
					scanning: make(chan struct{}, maxScanning)}
				admitted, leave := 0, make(chan struct{})
				mu := make(chan struct{}, 1)
				for range 10 {
					go func() {
						release := a.acquire(c.size, c.service)
						mu <- struct{}{}
						admitted++
						<-mu
						<-leave
						release()
					}()
				}
				synctest.Wait()
				if admitted != c.want {
					t.Errorf("%d were admitted together, want %d", admitted, c.want)
				}
				close(leave)
				synctest.Wait()
				if admitted != 10 {
					t.Errorf("%d were admitted in the end, want 10", admitted)
				}
			})
		})
	}
}
