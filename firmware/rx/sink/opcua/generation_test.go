package opcua

import (
	"testing"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	state "heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/sink"
)

// crossing is a link whose records come through the state of a channel.
type crossing struct {
	*link
	rx  *state.Channel
	seq uint64
}

func newCrossing(t *testing.T) *crossing {
	c := &crossing{link: newLink(t)}
	c.rx = state.New(func(u state.Update) {
		c.deliver(sink.Update{Key: u.Key, Payload: u.Payload, Delete: u.Delete})
	})
	c.rx.Begin(1, true)
	c.totals(false)
	c.rx.Manifest(&record.Manifest{}) // complete, and it stays so: nothing is lost
	return c
}

// put sends the first record of a key.
func (c *crossing) put(key, content []byte) {
	c.seq++
	c.rx.Update(&record.Update{Seq: c.seq, Created: c.seq, Key: key, Payload: content})
}

// space announces a generation.
func (c *crossing) space(generation uint32) {
	p := payload.SpaceHeader{Generation: generation, Namespaces: []string{"http://opcfoundation.org/UA/", "urn:plant"}}
	c.put(payload.Key{Kind: payload.Space}.Append(nil), p.Append(nil))
}

// nodes sends a generation's block with one variable, and its value.
func (c *crossing) nodes(generation uint32, name string) {
	var p payload.Packer
	node := addrspace.Node{ID: named(name), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}}}
	c.put(payload.Key{Kind: payload.Block, Generation: generation}.Append(nil), p.Pack([]byte{0},
		[]addrspace.Node{node}))
	v, err := rawvalue.SkimDataValue([]byte{1, 3, 120}, rawvalue.Limits{})
	if err != nil {
		c.t.Fatal(err)
	}
	content, _ := payload.AppendValue(nil, v)
	c.put(valueKey(generation, 0), content)
}

// totals states that all so far was sent.
func (c *crossing) totals(partial bool) {
	c.rx.Totals(&record.Totals{Seq: c.seq, Partial: partial, State: record.SourceUp})
	c.health.Totals++
}

// tick is a tick of the sink.
func (c *crossing) tick() (why string) {
	c.health.Complete = c.rx.Status().Complete
	return c.judge(qualityEvery)
}

// The source's namespaces change, and it browses for longer than a tick.
func TestTheNextGenerationIsServedWhenItsSourceIsComplete(t *testing.T) {
	c := newCrossing(t)
	c.space(7)
	c.nodes(7, "a")
	if why := c.tick(); why != "" {
		t.Fatalf("not ready: %s", why)
	}
	still := func(when string) {
		t.Helper()
		if why := c.tick(); why == "" || c.server.closed != 0 {
			t.Errorf("%s: the reason is %q, sessions were closed %d times; want a reason and none", when, why,
				c.server.closed)
		}
	}
	c.space(8) // the totals that came before it were lost
	still("before totals")
	still("before totals")
	c.totals(true)
	still("while the source browses")
	c.nodes(8, "x")
	c.totals(true)
	still("before the end of the browse")
	c.totals(false)
	if why := c.tick(); why != "" || c.server.closed != 1 || !c.server.open {
		t.Errorf("afterwards: the reason is %q, sessions were closed %d times, open %v", why, c.server.closed,
			c.server.open)
	}
	if _, ok := c.server.values[named("x")]; !ok {
		t.Error("the next generation is not served")
	}
}
