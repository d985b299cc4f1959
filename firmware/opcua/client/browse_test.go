package client

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// tree is a fake's address space for browsing: node n has n references, to 1, 2, … n.
// It gives at most most references in a response, and keeps few continuation points.
type tree struct {
	f              *fake
	most, points   int
	operations     int
	open           map[uint32][2]uint32 // continuation point → node, next reference
	last           uint32
	leaked, browse int
	odd            uint32 // node whose references cannot be read
}

func newTree(f *fake, most, points int) *tree {
	tr := &tree{f: f, most: most, points: points, operations: 1 << 30, open: map[uint32][2]uint32{}}
	f.on(id.BrowseRequest_Encoding_DefaultBinary, tr.first)
	f.on(id.BrowseNextRequest_Encoding_DefaultBinary, tr.next)
	return tr
}

func (tr *tree) first(c call) ([]byte, ua.StatusCode) {
	tr.browse++
	tr.leaked += len(tr.open)
	c.Skip(2 + 12)
	asked := int(c.Uint32())
	n := c.Length(1)
	if n > tr.operations {
		return nil, ua.StatusBadTooManyOperations
	}
	most := tr.most
	if asked > 0 && asked < most {
		most = asked
	}
	b := appendUint32(nil, uint32(n))
	for range n {
		node, _ := rawvalue.ParseNodeID(c.NodeID())
		c.Skip(4 + 2 + 1 + 4 + 4)
		b = tr.result(b, node.Number, 1, most)
	}
	return appendUint32(b, nullLength), 0
}

func (tr *tree) next(c call) ([]byte, ua.StatusCode) {
	release := c.Byte() != 0
	n := c.Length(1)
	b := appendUint32(nil, uint32(n))
	for range n {
		p := c.Bytes()
		if len(p) != 4 {
			b = append(appendUint32(b, uint32(ua.StatusBadContinuationPointInvalid)), 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at, ok := tr.open[binary.LittleEndian.Uint32(p)]
		delete(tr.open, binary.LittleEndian.Uint32(p))
		switch {
		case release:
			b = append(appendUint32(b, 0), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		case !ok:
			b = append(appendUint32(b, uint32(ua.StatusBadContinuationPointInvalid)), 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff)
		default:
			b = tr.result(b, at[0], at[1], tr.most)
		}
	}
	return appendUint32(b, nullLength), 0
}

func (tr *tree) result(b []byte, node, from uint32, most int) []byte {
	if node == 999 {
		return append(appendUint32(b, uint32(ua.StatusBadNodeIDUnknown)), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff)
	}
	to := min(node, from+uint32(most)-1)
	var point []byte
	if to < node {
		if len(tr.open) >= tr.points {
			return append(appendUint32(b, uint32(ua.StatusBadNoContinuationPoints)), 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff)
		}
		tr.last++
		tr.open[tr.last] = [2]uint32{node, to + 1}
		point = appendUint32(nil, tr.last)
	}
	b = appendBytes(appendUint32(b, 0), point)
	b = appendUint32(b, to-from+1)
	for i := from; i <= to; i++ {
		kind := rawvalue.NodeID{Number: id.Organizes}
		if node == tr.odd {
			b = append(b, 77) // no kind of NodeId
		}
		b = kind.AppendTo(b)
		b = appendBool(b, i%2 == 0)
		b = rawvalue.NodeID{Namespace: 1, Number: i}.AppendTo(b)
		b = appendBytes(append(b, 1, 0), []byte("name"))
		b = append(b, 0)
		b = appendUint32(b, uint32(ua.NodeClassVariable))
		b = append(b, 0, 63)
	}
	return b
}

// browses checks what a client makes of a tree of 40 nodes and an unknown one.
func browses(t *testing.T, s *Session, odd int) {
	t.Helper()
	ids := []rawvalue.NodeID{{Namespace: 1, Number: 999}}
	for i := range 40 {
		ids = append(ids, rawvalue.NodeID{Namespace: 1, Number: uint32(i)})
	}
	seen := make([]int, len(ids))
	err := s.Browse(t.Context(), ids, func(i int, status ua.StatusCode, refs []addrspace.Reference) {
		seen[i]++
		want := ua.StatusOK
		switch i {
		case 0:
			want = ua.StatusBadNodeIDUnknown
		case odd:
			want = ua.StatusBadDecodingError
		}
		if status != want {
			t.Errorf("node %d: got %v, want %v", i-1, status, want)
		}
		if n := i - 1; status == 0 && len(refs) != n {
			t.Errorf("node %d: got %d references", n, len(refs))
		}
		for k, r := range refs {
			w := addrspace.Reference{Type: rawvalue.NodeID{Number: id.Organizes},
				Target: rawvalue.NodeID{Namespace: 1, Number: uint32(k + 1)}, Inverse: k%2 == 0}
			if r != w {
				t.Errorf("node %d: got %+v, want %+v", i-1, r, w)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("node %d: got %d calls, want 1", i-1, n)
		}
	}
}

func TestBrowseFindsEveryReference(t *testing.T) {
	for _, test := range []struct{ most, points, operations, odd int }{
		{1000, 0, 1000, 0}, {7, 1000, 1000, 0}, {7, 3, 1000, 0}, {1, 1, 1000, 0}, {7, 3, 10, 0}, {7, 1, 1, 0},
		{1000, 0, 1000, 20}, {50, 2, 1000, 35},
	} {
		t.Run(fmt.Sprintf("%d references, %d points, %d operations, node %d odd", test.most, test.points,
			test.operations, test.odd-1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				tr := newTree(f, test.most, test.points)
				if tr.operations = test.operations; test.odd > 0 {
					tr.odd = uint32(test.odd - 1)
				}
				browses(t, f.connect(), test.odd)
				if tr.leaked > 0 && test.odd == 0 || len(tr.open) > 0 {
					t.Errorf("got %d continuation points kept while browsing on, %d at the end; "+
						"want none", tr.leaked, len(tr.open))
				}
				t.Logf("%d Browse", tr.browse)
			})
		})
	}
}

func TestBrowseGivesUpOnAServerWithoutContinuationPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		newTree(f, 7, 0)
		var got []ua.StatusCode
		err := f.connect().Browse(t.Context(), []rawvalue.NodeID{{Number: 5}, {Number: 30}},
			func(_ int, status ua.StatusCode, _ []addrspace.Reference) {
				got = append(got, status)
			})
		if want := []ua.StatusCode{0, ua.StatusBadNoContinuationPoints}; err != nil ||
			!reflect.DeepEqual(got, want) {
			t.Errorf("got %v %v, want %v", got, err, want)
		}
	})
}

// TestBrowseEndsWithAServerThatContinuesWithoutEnd: each node of a batch has another
// continuation point each time, with so many references.
func TestBrowseEndsWithAServerThatContinuesWithoutEnd(t *testing.T) {
	for name, test := range map[string]struct{ nodes, references, most int }{
		"empty": {20, 0, maxEmpty + 3}, "one": {20, 1, 2 * maxContinuations}, "full": {3, 100_000, 50},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				asked, open := 0, 0
				endless := func(c call) ([]byte, ua.StatusCode) {
					n := 0
					release := false
					if c.Kind == id.BrowseNextRequest_Encoding_DefaultBinary {
						release = c.Byte() != 0
						n = c.Length(4)
						open -= n
					} else {
						c.Skip(2 + 12 + 4)
						n = c.Length(1)
					}
					asked++
					b := appendUint32(nil, uint32(n))
					for range n {
						if release {
							b = append(appendUint32(b, 0), 0xff, 0xff, 0xff, 0xff, 0xff,
								0xff, 0xff, 0xff)
							continue
						}
						open++
						b = appendBytes(appendUint32(b, 0), []byte{1, 2, 3, 4})
						b = appendUint32(b, uint32(test.references))
						for range test.references {
							b = append(b, 0, 35, 1, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0,
								1, 0, 0, 0, 0, 0)
						}
					}
					return appendUint32(b, nullLength), 0
				}
				f.on(id.BrowseRequest_Encoding_DefaultBinary, endless)
				f.on(id.BrowseNextRequest_Encoding_DefaultBinary, endless)
				calls := 0
				err := f.connect().Browse(t.Context(), make([]rawvalue.NodeID, test.nodes),
					func(_ int, status ua.StatusCode, refs []addrspace.Reference) {
						if calls++; !isBad(status) || len(refs) < test.references ||
							len(refs) > maxReferences/104 {
							t.Errorf("got %v and %d references, want a bad status and "+
								"those "+
								"that fit", status, len(refs))
						}
					})
				if err != nil || calls != test.nodes || asked > test.most || open > 0 {
					t.Errorf("got %v, %d calls, %d requests, %d points left open; want %d "+
						"calls, at most %d requests", err, calls, asked, open, test.nodes,
						test.most)
				}
			})
		})
	}
}
