package mqtt

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"heliograph/firmware/mqtt/packet"
)

// barrierConn is a connection that answers barriers, and does nothing else.
type barrierConn struct {
	connection
	crossed func() // at each barrier
}

func (b barrierConn) barrier(context.Context) error { b.crossed(); return nil }
func (b barrierConn) lost() <-chan struct{}         { return nil }

func TestDrainWaitsForWhatLibrariesQueue(t *testing.T) {
	tests := []struct {
		name  string
		steps []func(f *feed) // at one barrier after the other
		want  int             // barriers
	}{
		{"nothing kept", nil, 1},
		{"received, not taken yet", []func(f *feed){
			func(f *feed) { f.traffic.in[packet.Publish].Add(1) },
			func(f *feed) { f.arrived.Add(1) },
		}, 3},
		{"taken, its acknowledgement not sent yet", []func(f *feed){
			func(f *feed) { f.traffic.in[packet.Publish].Add(1); f.arrived.Add(1); f.acks.expect(func() {})() },
			func(*feed) {},
			func(f *feed) { f.traffic.out[packet.Puback].Add(1) },
		}, 4},
		{"QoS 2 not complete yet", []func(f *feed){
			func(f *feed) { f.traffic.in[packet.Pubrel].Add(1) },
			func(*feed) {},
			func(f *feed) { f.traffic.out[packet.Pubcomp].Add(1) },
		}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &feed{acks: newAcker(new(atomic.Uint64))}
				defer f.acks.close()
				got := 0
				err := f.drain(t.Context(), barrierConn{crossed: func() {
					if got < len(tt.steps) {
						tt.steps[got](f)
					}
					got++
				}})
				if err != nil || got != tt.want {
					t.Errorf("got %d barriers, %v; want %d", got, err, tt.want)
				}
			})
		})
	}
}
