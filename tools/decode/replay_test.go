package decode

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"heliograph/firmware/conduit/record"
)

// pieces is a page of 10 entries, 1 of them without a known key, cut into frames.
func pieces(size int) (body []byte, frames [][]byte) {
	var w record.ReplayWriter
	w.Reset(5)
	noise := make([]byte, 100)
	for i := range uint64(10) {
		rand.NewChaCha8([32]byte{byte(i)}).Read(noise)
		w.Append(&record.Replayed{Seq: 6 + i, Event: true, Payload: noise})
	}
	body = w.AppendReplay(nil, 0x1234, 3, nil)
	for rest := body; len(rest) > 0; {
		n := min(size, len(rest))
		frames = append(frames, record.AppendItem(nil, record.Item{
			Kind: record.KindReplay, First: len(rest) == len(body), Last: n == len(rest), Body: rest[:n],
		}))
		rest = rest[n:]
	}
	return body, frames
}

func TestAPageInPiecesIsShownWithItsLast(t *testing.T) {
	body, frames := pieces(200)
	for name, tt := range map[string]struct {
		lost  int // frame
		known bool
	}{
		"all there":   {-1, true},
		"first lost":  {0, false},
		"middle lost": {2, false},
	} {
		t.Run(name, func(t *testing.T) {
			var p replayed
			var last Record
			for i, f := range frames {
				if i == tt.lost {
					continue
				}
				p.frame(1, uint64(7+i))
				got := records(f, p.item)
				if len(got) != 1 || got[0].Piece == "" || got[0].Kind != "replay" {
					t.Fatalf("piece %d: got %+v", i, got)
				}
				last = got[0]
			}
			if last.Entries == nil != !tt.known {
				t.Fatalf("got %+v, want the whole page: %v", last, tt.known)
			}
			if tt.known && (*last.Entries != 10 || *last.From != 5 || *last.To != 15 || *last.Epoch != 3 ||
				last.Channel != "1234" || *last.Packed != len(body) || *last.Unpacked == 0) {
				t.Errorf("got %+v", last)
			}
		})
	}
}

func TestPiecesOfAPageAreBounded(t *testing.T) {
	var p replayed
	piece := bytes.Repeat([]byte{1}, 1<<20)
	for i := range 64 {
		p.item(record.Item{Kind: record.KindReplay, First: i == 0, Body: piece})
		if cap(p.body) > 2*maxBody {
			t.Fatalf("%d bytes are kept", cap(p.body))
		}
	}
}
