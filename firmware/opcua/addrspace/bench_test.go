package addrspace

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const (
	manyNodes    = 100_000
	bytesPerNode = 260 // with 18 attributes, two references at each end, and a NodeId of 34 characters
)

func TestANodeTakesLittleMemory(t *testing.T) {
	const n = manyNodes / 2 // the race detector is slow; 100 000 take 236 B each
	before := heap()
	s := plantSpace(t, n)
	got := (heap() - before) / n
	t.Logf("%d B for each of %d nodes", got, n)
	if got > bytesPerNode {
		t.Errorf("got %d B for each node, want %d at most", got, bytesPerNode)
	}
	runtime.KeepAlive(s)
}

func TestReadingDoesNotAllocate(t *testing.T) {
	s := plantSpace(t, 1000)
	tag, folder := plantTag(500), NodeID{Namespace: 2, Number: 6}
	found := make([]Found, 0, 200)
	buf := make([]byte, 0, 100)
	s.View(func(v View) {
		r, _ := v.Lookup(tag)
		f, ok := v.Lookup(folder)
		if !ok {
			t.Fatal("no folder")
		}
		for name, do := range map[string]func(){
			"lookup":    func() { v.Lookup(tag) },
			"attribute": func() { buf, _ = v.AppendAttribute(buf[:0], r, ua.AttributeIDAccessLevelEx) },
			"node id":   func() { buf, _ = v.AppendAttribute(buf[:0], r, ua.AttributeIDNodeID) },
			"type":      func() { v.TypeDefinition(r) },
			"browse": func() {
				found, _ = v.Browse(found[:0], f, Filter{Type: num(id.References), Subtypes: true,
					Direction: ua.BrowseDirectionBoth}, 0, 0)
			},
		} {
			if n := testing.AllocsPerRun(100, do); n != 0 {
				t.Errorf("%s: got %v allocations, want 0", name, n)
			}
		}
		if len(found) != 101 {
			t.Errorf("browse: got %d, want 101", len(found))
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	s := plantSpace(b, manyNodes)
	ids := make([]NodeID, 1024)
	for i := range ids {
		ids[i] = plantTag(i * 97)
	}
	s.View(func(v View) {
		for i := 0; b.Loop(); i++ {
			v.Lookup(ids[i%len(ids)])
		}
	})
}

func BenchmarkAttribute(b *testing.B) {
	s := plantSpace(b, 1000)
	var buf []byte
	s.View(func(v View) {
		r, _ := v.Lookup(plantTag(500))
		for b.Loop() {
			buf, _ = v.AppendAttribute(buf[:0], r, ua.AttributeIDAccessLevelEx)
		}
	})
}

func BenchmarkBrowse100(b *testing.B) {
	s := plantSpace(b, 1000)
	var found []Found
	s.View(func(v View) {
		r, _ := v.Lookup(NodeID{Namespace: 2, Number: 6})
		for b.Loop() {
			found, _ = v.Browse(found[:0], r, Filter{Type: num(id.References), Subtypes: true}, 0, 0)
		}
	})
}

func BenchmarkTranslate(b *testing.B) {
	s := plantSpace(b, 1000)
	path := []Element{{Type: num(id.References), Subtypes: true,
		Name: rawvalue.QualifiedName{Namespace: 2, Name: []byte("Tag000599")}}}
	s.View(func(v View) {
		for b.Loop() {
			if _, code := v.Translate(NodeID{Namespace: 2, Number: 6}, path, 10); code != ua.StatusGood {
				b.Fatal(code)
			}
		}
	})
}

func BenchmarkReplace(b *testing.B) {
	nodes := slices.Collect(plant(manyNodes))
	for b.Loop() {
		if err := New().Replace(slices.Values(nodes)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(nodes))/b.Elapsed().Seconds(), "nodes/s")
}

func BenchmarkApplyUnchangedNode(b *testing.B) {
	s := plantSpace(b, manyNodes)
	change := put(variable(500, NodeID{Namespace: 2, Number: 6}))
	for b.Loop() {
		if a, err := s.Apply(change); err != nil || a != nil {
			b.Fatal(a, err)
		}
	}
}

// BenchmarkCopy is the least that each change would cost if it copied what readers see.
func BenchmarkCopy(b *testing.B) {
	s := plantSpace(b, manyNodes)
	for b.Loop() {
		_ = slices.Clone(s.table.entries)
		_ = slices.Clone(s.table.identities.index.slots)
	}
}

// BenchmarkReadWhileWriting is a reader's View of ten attributes while a writer puts
// and removes a hundred nodes at a time without pause; worst is the longest View.
func BenchmarkReadWhileWriting(b *testing.B) {
	s := plantSpace(b, manyNodes)
	var puts, removes []Change
	for i := manyNodes; i < manyNodes+100; i++ {
		n := variable(i, NodeID{Namespace: 2, Number: 6})
		puts, removes = append(puts, put(n)...), append(removes, Change{Remove, Node{ID: n.ID}})
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				s.Apply(puts)
				s.Apply(removes)
			}
		}
	}()
	var worst time.Duration
	var buf []byte
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		s.View(func(v View) {
			for k := range 10 {
				if r, ok := v.Lookup(plantTag((i + k*1000) % manyNodes)); ok {
					buf, _ = v.AppendAttribute(buf[:0], r, ua.AttributeIDDataType)
				}
			}
		})
		worst = max(worst, time.Since(start))
	}
	close(done)
	<-stopped
	b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
}
