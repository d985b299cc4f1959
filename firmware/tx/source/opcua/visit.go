package opcua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// visit is one session with what is followed over it. Everything that changes
// the model happens in run's goroutine.
type visit struct {
	*Source
	session *client.Session
	values  *values
	events  *events

	crawl   *crawl // under way
	found   chan found
	crawled time.Time // when the last one ended
	fresh   bool      // the model had no nodes when the session began
	next    int       // of the polled variables

	// settling says that a session before this one has ended: what changed since
	// then is not known until all variables have had a value again. The source is
	// Connecting until then, which makes them Uncertain at the mirror.
	settling bool
}

// found is what a crawl tells run: nodes, or its end. It waits until they are taken.
type found struct {
	nodes []addrspace.Node
	end   bool
	err   error
	taken chan error
}

// run returns when the session ends, with the reason.
func (v *visit) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := v.begin(ctx); err != nil {
		return err
	}
	v.notice(overlooked(v.session.Overlooked()))
	if v.settling {
		v.report(source.Connecting, "connected again, reading what may have changed meanwhile")
	} else {
		v.report(source.Up, "")
	}
	v.startCrawl(ctx)
	defer func() { // the crawl may be waiting to hand something over
		cancel()
		for v.crawl != nil {
			f := <-v.found
			if f.end {
				return
			}
			f.taken <- context.Canceled
		}
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	rebrowse := time.NewTicker(v.cfg.Rebrowse)
	defer rebrowse.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-v.session.Done():
			return v.session.Err()
		case <-v.values.gone:
			return errors.New("the server has ended a subscription")
		case <-v.events.gone:
			return errors.New("the server has ended the subscription to events")
		case <-v.anew:
			return errAnew
		case f := <-v.found:
			err = v.take(ctx, f)
		case <-v.again:
			err = v.browse(ctx)
		case <-rebrowse.C:
			err = v.browse(ctx)
		case <-v.events.changed:
			err = v.announced(ctx)
		case <-v.events.refresh:
			err = v.events.refreshAll(ctx)
		case <-v.values.doubts.signal:
			err = v.values.reread(ctx)
		case <-tick.C:
			err = v.tick(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// begin makes the model fit the server and follows what it has.
func (v *visit) begin(ctx context.Context) error {
	namespaces := v.session.Namespaces()
	switch {
	case v.model == nil: // the first session, or the one after a model that was worn out
		v.model, v.fresh = newModel(namespaces, v.most), true
		v.arrived.reset()
		clear(v.known)
		v.setWhole(false)
	case !v.model.fits(namespaces):
		v.log.Warn("the server's namespace table has changed: everything is browsed anew", "was", v.model.Namespaces, "is", namespaces)
		v.model, v.fresh = newModel(namespaces, v.most), true
		v.arrived.reset()
		clear(v.known)
		v.setWhole(false)
	case len(namespaces) != len(v.model.Namespaces):
		v.model.Namespaces = namespaces
	}
	if v.settling = v.wasUp && !v.fresh; v.settling {
		v.arrived.again()
	}
	if err := v.model.announce(v.port); err != nil {
		return fmt.Errorf("opcua: namespace table: %w", err)
	}
	v.values = newValues(v.Source, v.model, v.session)
	v.events = newEvents(v.Source, v.model, v.session)
	if err := v.watchAll(ctx); err != nil {
		return err
	}
	return v.events.watch(ctx)
}

func (v *visit) startCrawl(ctx context.Context) {
	if v.crawl != nil {
		return
	}
	v.model.left = 0
	v.crawl = newCrawl(v.session, v.patterns, v.most)
	v.found = make(chan found)
	go func(c *crawl, out chan<- found) {
		err := c.run(ctx, func(nodes []addrspace.Node) error {
			taken := make(chan error)
			out <- found{nodes: nodes, taken: taken}
			return <-taken
		})
		out <- found{end: true, err: err}
	}(v.crawl, v.found)
}

// take takes over what a crawl found. While the first picture grows it crosses as
// it comes; later only the difference does, after the end.
func (v *visit) take(ctx context.Context, f found) error {
	if !f.end {
		v.crawl.restore(v.model, f.nodes)
		err := v.model.put(f.nodes)
		f.taken <- err
		if err != nil || !v.fresh {
			return err
		}
		v.flush(v.model, false)
		return v.watchAll(ctx)
	}
	c := v.crawl
	v.crawl, v.crawled = nil, time.Now()
	v.notice(overlooked(v.session.Overlooked())) // the certificate may have expired since the session began
	if f.err != nil {
		return fmt.Errorf("browsing: %w", f.err)
	}
	v.stats.FailedBrowses.Add(uint64(len(c.failed)))
	if c.cut != "" {
		v.stats.CutBrowses.Add(1)
	} else if err := v.values.drop(ctx, v.model.remove(c.stays(v.model))); err != nil {
		return err
	}
	v.tell(cutBrowse, c.shortcoming(v.model))
	if v.model.wornOut() {
		v.model = nil
		return errors.New("the server has replaced its nodes so often that their numbers are used up: a new generation begins")
	}
	if err := v.values.revive(ctx); err != nil {
		return err
	}
	v.flush(v.model, true)
	v.model.forget(v.port)
	v.fresh = false
	if err := v.watchAll(ctx); err != nil {
		return err
	}
	if err := v.events.watch(ctx); err != nil {
		return err
	}
	if err := v.model.save(v.cache, v.scope()); err != nil {
		v.log.Error("the address space cannot be cached; a restart will browse first", "error", err)
	}
	v.log.Info("opcua source has browsed", "nodes", len(v.model.handles), "variables followed", len(v.values.follow))
	return nil
}

// stays returns what tells whether a node stays: one that the crawl has found, and
// what is known below a node that could not be browsed.
func (c *crawl) stays(m *model) func(rawvalue.NodeID) bool {
	var hidden []rawvalue.NodeID
	for _, i := range c.failed {
		hidden = append(hidden, c.graph.ID(i))
	}
	below := m.below(hidden)
	return func(node rawvalue.NodeID) bool { return c.crosses(node) || below[node] }
}

// shortcoming says what the crawl has left out, "" if nothing.
func (c *crawl) shortcoming(m *model) string {
	var all []string
	if c.cut != "" {
		all = append(all, c.cut)
	}
	var hidden []rawvalue.NodeID
	for _, i := range c.failed {
		if c.keep[i] {
			hidden = append(hidden, c.graph.ID(i))
		}
	}
	if len(hidden) > 0 {
		all = append(all, fmt.Sprintf("%d nodes could not be browsed, among them %v", len(hidden), hidden[0].UA()))
	}
	if m.left > 0 {
		all = append(all, fmt.Sprintf("%d nodes are left out, they take more than address_space allows", m.left))
	}
	return strings.Join(all, "; ")
}

// crosses tells whether a finished crawl found a node and lets it cross.
func (c *crawl) crosses(node rawvalue.NodeID) bool {
	i, ok := c.graph.Find(node)
	return ok && c.keep[i]
}

// announced answers a model change event; a server that changes all the time is
// not browsed all the time.
func (v *visit) announced(ctx context.Context) error {
	if wait := minBrowse - time.Since(v.crawled); v.crawl != nil || wait > 0 {
		time.AfterFunc(max(wait, time.Second), v.events.change)
		return nil
	}
	return v.browse(ctx)
}

// browse browses again, with the namespace table as it is now: a server may not have
// told that it has grown.
func (v *visit) browse(ctx context.Context) error {
	if v.crawl != nil {
		return nil
	}
	table, err := namespaces(ctx, v.session)
	if err != nil {
		return err
	}
	if !v.model.fits(table) {
		return errors.New("the server's namespace table has changed")
	}
	if len(table) != len(v.model.Namespaces) {
		v.model.Namespaces = table
		if err := v.model.announce(v.port); err != nil {
			return err
		}
	}
	v.startCrawl(ctx)
	return nil
}

// namespaces reads the namespace table as it is now.
func namespaces(ctx context.Context, server looker) (uris []string, err error) {
	items := []client.ReadItem{{Node: rawvalue.NodeID{Number: id.Server_NamespaceArray}, Attribute: ua.AttributeIDValue}}
	err = server.Read(ctx, items, 0, func(_ int, v rawvalue.DataValue) {
		for _, element := range v.Value.Each() {
			c := rawvalue.NewCursor(element, rawvalue.Limits{})
			uris = append(uris, string(c.Bytes()))
		}
	})
	if err == nil && len(uris) == 0 {
		err = errors.New("the server does not tell its namespace table")
	}
	return uris, err
}

var _ looker = (*client.Session)(nil)
