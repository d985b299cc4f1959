package probe

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

// Bounds are those of a browse.
type Bounds struct {
	Nodes int
	Time  time.Duration
}

// Space is how large an address space is.
type Space struct {
	Nodes     int           `json:"nodes"` // that were read
	Known     int           `json:"known"` // with those that were only named
	Variables int           `json:"variables"`
	Objects   int           `json:"objects"`
	Types     int           `json:"types"`
	Methods   int           `json:"methods"`
	Bytes     int64         `json:"state_bytes"` // that cross to make the mirror complete, roughly
	Took      time.Duration `json:"-"`
	Cut       string        `json:"cut,omitempty"` // the bound that ended the browse: there is more
}

const (
	batch        = 500 // nodes asked for together
	sampleBlocks = 6   // blocks of nodes that are read in full
	recordHead   = 14  // bytes of a record beside its payload: key and head of an entry, roughly
)

// walk is a browse in progress.
type walk struct {
	server *client.Session
	space  Space
	seen   map[rawvalue.NodeID]bool
	order  []rawvalue.NodeID
	kinds  []ua.NodeClass
	sampled
}

// sampled are the nodes that were packed, and their bytes then.
type sampled struct{ nodes, packed int64 }

func (s sampled) estimate(nodes int) int64 {
	if s.nodes == 0 {
		return 0
	}
	return s.packed * int64(nodes) / s.nodes
}

// Browse follows all references from the Root folder, as heliotx does, reads all values, and
// estimates from a sample of nodes what their descriptions take on the link. At a bound it ends with
// what it has. progress is called with how many nodes were asked for, and how many are known.
func Browse(ctx context.Context, s *client.Session, b Bounds, progress func(done, known int)) (Space, error) {
	began := time.Now()
	w := walk{server: s, seen: map[rawvalue.NodeID]bool{}}
	w.add(rawvalue.NodeID{Number: id.RootFolder})
	cut, err := within(ctx, b.Time, func(ctx context.Context) error { return w.find(ctx, b.Nodes, progress) })
	if cut {
		w.space.Cut = "after " + b.Time.String()
	}
	if err == nil {
		_, err = within(ctx, b.Time/2, w.measure)
		w.space.Bytes += w.sampled.estimate(len(w.kinds))
	}
	w.space.Nodes, w.space.Known, w.space.Took = len(w.kinds), len(w.order), time.Since(began)
	return w.space, err
}

// within does something that may be cut after a time: that is not an error.
func within(ctx context.Context, d time.Duration, do func(context.Context) error) (cut bool, err error) {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err = do(limited)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return true, nil
	}
	return false, err
}

func (w *walk) add(n rawvalue.NodeID) {
	if n != (rawvalue.NodeID{}) && !w.seen[n] {
		w.seen[n] = true
		w.order = append(w.order, n)
	}
}

// find browses, and counts what it has asked for.
func (w *walk) find(ctx context.Context, most int, progress func(done, known int)) error {
	for done := 0; done < len(w.order); {
		if done >= most {
			w.space.Cut = "at the bound of nodes"
			return nil
		}
		now := slices.Clone(w.order[done:min(done+batch, len(w.order), most)])
		err := w.server.Browse(ctx, now, func(_ int, _ ua.StatusCode, refs []addrspace.Reference) {
			for _, r := range refs {
				if len(w.order) < 2*most { // what a hostile server can make us hold
					w.add(r.Target)
					w.add(r.Type)
				}
			}
		})
		if err == nil {
			err = w.classify(ctx, now)
		}
		if err == nil {
			err = w.values(ctx, now)
		}
		if err != nil {
			return err
		}
		done += len(now)
		progress(done, len(w.order))
	}
	return nil
}

func (w *walk) classify(ctx context.Context, nodes []rawvalue.NodeID) error {
	items := make([]client.ReadItem, len(nodes))
	for i, n := range nodes {
		items[i] = client.ReadItem{Node: n, Attribute: ua.AttributeIDNodeClass}
	}
	return w.server.Read(ctx, items, 0, func(_ int, v rawvalue.DataValue) {
		class := ua.NodeClass(0) // of what does not exist
		if v.Value.Type() == ua.TypeIDInt32 && !v.Value.IsArray() {
			c := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
			class = ua.NodeClass(c.Uint32())
		}
		w.kinds = append(w.kinds, class)
		switch class {
		case ua.NodeClassVariable:
			w.space.Variables++
		case ua.NodeClassObject:
			w.space.Objects++
		case ua.NodeClassMethod:
			w.space.Methods++
		case ua.NodeClassObjectType, ua.NodeClassVariableType, ua.NodeClassReferenceType, ua.NodeClassDataType:
			w.space.Types++
		}
	})
}

// values reads the values of those nodes that are variables: a few large ones may be most
// of all state, so that a sample would not do.
func (w *walk) values(ctx context.Context, nodes []rawvalue.NodeID) error {
	var items []client.ReadItem
	for i, class := range w.kinds[len(w.kinds)-len(nodes):] {
		if class == ua.NodeClassVariable {
			items = append(items, client.ReadItem{Node: nodes[i], Attribute: ua.AttributeIDValue})
		}
	}
	return w.server.Read(ctx, items, 0, func(_ int, v rawvalue.DataValue) {
		raw := v.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnNeither})
		w.space.Bytes += int64(len(raw) + recordHead)
	})
}

// measure reads blocks of nodes spread over all of them, and packs them as they cross.
func (w *walk) measure(ctx context.Context) error {
	blocks := len(w.kinds) / payload.BlockNodes
	step := max(1, blocks/sampleBlocks)
	for from := 0; from < len(w.kinds); from += step * payload.BlockNodes {
		sample := w.order[from:min(from+payload.BlockNodes, len(w.kinds))]
		size, err := w.block(ctx, sample)
		if err != nil {
			return err
		}
		w.sampled.nodes, w.sampled.packed = w.sampled.nodes+int64(len(sample)), w.sampled.packed+size
	}
	return nil
}

// block returns the bytes of a block of nodes.
func (w *walk) block(ctx context.Context, ids []rawvalue.NodeID) (int64, error) {
	nodes, slots := make([]addrspace.Node, len(ids)), make([]byte, len(ids))
	var items []client.ReadItem
	for i, n := range ids {
		nodes[i].ID, slots[i] = n, byte(i)
		for a := ua.AttributeIDNodeID; a <= ua.AttributeIDAccessLevelEx; a++ {
			if a == ua.AttributeIDValue {
				continue
			}
			items = append(items, client.ReadItem{Node: n, Attribute: a})
		}
	}
	err := w.server.Browse(ctx, ids, func(i int, _ ua.StatusCode, refs []addrspace.Reference) {
		nodes[i].References = refs
	})
	if err != nil {
		return 0, err
	}
	each := len(items) / len(ids)
	err = w.server.Read(ctx, items, 0, func(i int, v rawvalue.DataValue) {
		if v.Status == ua.StatusBadAttributeIDInvalid {
			return
		}
		raw := v.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnNeither})
		n := &nodes[i/each]
		n.Attributes = append(n.Attributes, addrspace.Attribute{ID: items[i].Attribute, Value: raw})
	})
	if err != nil {
		return 0, err
	}
	var p payload.Packer
	return int64(len(p.Pack(slots, nodes)) + recordHead), nil
}
