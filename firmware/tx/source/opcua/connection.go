package opcua

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// connection is one session and what is followed over it. Everything that changes
// the model happens in run's goroutine.
type connection struct {
	*Source
	session *client.Session
	values  *values
	events  *events

	crawl      *crawl // in progress
	found      chan found
	crawlBegan time.Time // when it began
	crawled    time.Time // when the last one ended
	fresh      bool      // no crawl has ended that found all of the model
	nextPolled int       // of the polled variables

	// catchingUp means that this session follows another one: what has changed since
	// that ended is not known before every variable has had a value again. The source
	// is Connecting until then, which makes them Uncertain at the mirror.
	catchingUp bool

	readable    map[uint32]bool    // handles of variables with a history
	reading     bool               // a historyReader runs
	historyRead chan time.Duration // it has ended, and the server gets that much rest
	historyDue  <-chan time.Time   // the next may begin
	historyRest time.Time          // … no sooner
	clockRead   time.Time          // the server's clock
}

// found is what a crawl hands to run: nodes, or its end. The crawl waits until run has
// answered on taken.
type found struct {
	nodes []addrspace.Node
	end   bool
	err   error
	taken chan error
}

// run returns when the session ends, with the reason.
func (c *connection) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.begin(ctx); err != nil {
		return err
	}
	c.notice(certificateNotice, overlooked(c.session.Overlooked()))
	if c.catchingUp {
		c.report(source.Connecting, "connected again; reading what may have changed")
	} else {
		c.report(source.Up, "")
	}
	c.startCrawl(ctx)
	c.historyRead = make(chan time.Duration, 1)
	defer c.end()
	defer c.awaitReaders()
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	rebrowse := time.NewTicker(c.cfg.Rebrowse)
	defer rebrowse.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.session.Done():
			return c.session.Err()
		case <-c.values.gone:
			return errors.New("the server ended a subscription")
		case <-c.events.gone:
			return errors.New("the server ended the subscription for events")
		case <-c.reconnectNow:
			return errReconnect
		case f := <-c.found:
			err = c.takeFound(ctx, f)
		case <-c.browseNow:
			err = c.browse(ctx)
		case <-rebrowse.C:
			err = c.browse(ctx)
		case <-c.events.changed:
			err = c.modelChanged(ctx)
		case <-c.events.refresh:
			err = c.events.refreshAll(ctx)
		case <-c.values.missed.signal:
			err = c.values.reread(ctx)
		case rest := <-c.historyRead:
			c.reading, c.historyRest, c.historyDue = false, time.Now().Add(rest), time.After(rest)
		case <-c.historyDue:
			err = c.tickHistory(ctx)
		case <-tick.C:
			err = c.tick(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// findHistories finds which variables of the model have a history.
func (c *connection) findHistories() {
	c.readable = readableHistory(c.model)
	c.history.book.Readable(c.readable)
}

// end records that what comes from now on is missed.
func (c *connection) end() {
	c.history.book.MissEvents(time.Now())
	c.storeMark(true)
}

// awaitReaders returns when what run has started beside itself has ended. A crawl may be
// waiting for an answer.
func (c *connection) awaitReaders() {
	if c.reading {
		<-c.historyRead
	}
	for c.crawl != nil {
		f := <-c.found
		if f.end {
			return
		}
		f.taken <- context.Canceled
	}
}

// begin makes the model fit the server and follows what it has.
func (c *connection) begin(ctx context.Context) error {
	namespaces := c.session.Namespaces()
	switch {
	case c.model == nil: // the first session, or the one after a model that was exhausted
		c.startGeneration(namespaces)
	case !c.model.fits(namespaces):
		c.log.Warn("namespace table changed; browsing from the start", "before", c.model.Namespaces, "now",
			namespaces)
		c.startGeneration(namespaces)
	case len(namespaces) != len(c.model.Namespaces):
		c.model.Namespaces = namespaces
	}
	c.fresh = !c.model.browsed
	c.catchingUp = c.wasUp && len(c.model.handles) > 0 // a part of a model has values, too
	if c.wasUp {
		c.arrived.forgetArrivals()
	}
	c.history.book.MissAll()
	if !c.fresh {
		c.findHistories()
	}
	if err := c.model.announce(c.port); err != nil {
		return fmt.Errorf("opcua: namespace table: %w", err)
	}
	c.values = newValues(c.Source, c.model, c.session)
	c.events = newEvents(c.Source, c.model, c.session)
	if err := c.watchAll(ctx); err != nil {
		return err
	}
	return c.events.watch(ctx)
}

// startGeneration begins with an empty model.
func (c *connection) startGeneration(namespaces []string) {
	c.model = newModel(namespaces, c.maxSpace)
	c.arrived.reset()
	c.history.book.Reset()
	clear(c.known)
	c.sent = sentTables{}
	c.setComplete(false)
}

func (c *connection) startCrawl(ctx context.Context) {
	if c.crawl != nil {
		return
	}
	c.model.leftOut, c.crawlBegan = 0, time.Now()
	c.crawl = newCrawl(c.session, c.patterns, c.maxSpace)
	c.found = make(chan found)
	go func(crawl *crawl, out chan<- found) {
		err := crawl.run(ctx, func(nodes []addrspace.Node) error {
			taken := make(chan error)
			out <- found{nodes: nodes, taken: taken}
			return <-taken
		})
		out <- found{end: true, err: err}
	}(c.crawl, c.found)
}

// takeFound takes over what a crawl has found. Of the initial snapshot nodes cross as
// they are found; later only differences cross, after the end of the crawl.
func (c *connection) takeFound(ctx context.Context, f found) error {
	if !f.end {
		c.crawl.restore(c.model, f.nodes)
		err := c.model.put(f.nodes)
		f.taken <- err
		if err != nil || !c.fresh {
			return err
		}
		c.flush(c.model, false)
		return c.watchAll(ctx)
	}
	crawl := c.crawl
	c.crawl, c.crawled = nil, time.Now()
	c.events.crawlTook.Store(int64(c.crawled.Sub(c.crawlBegan)))
	// The certificate may have expired since the session began.
	c.notice(certificateNotice, overlooked(c.session.Overlooked()))
	if f.err != nil {
		return fmt.Errorf("browsing: %w", f.err)
	}
	c.stats.FailedBrowses.Add(uint64(len(crawl.failed)))
	if crawl.cut != "" {
		c.stats.CutBrowses.Add(1)
	} else if err := c.values.drop(ctx, c.model.remove(crawl.remains(c.model))); err != nil {
		return err
	}
	c.setTrouble(cutBrowse, crawl.incompleteness(c.model))
	if c.model.exhausted() {
		c.model = nil
		return errors.New("too many of the server's nodes were replaced; starting a new generation")
	}
	if err := c.values.revive(ctx); err != nil {
		return err
	}
	c.flush(c.model, true)
	c.model.forget(c.port)
	c.fresh, c.model.browsed = false, true
	c.findHistories()
	if err := c.watchAll(ctx); err != nil {
		return err
	}
	if err := c.events.watch(ctx); err != nil {
		return err
	}
	if err := c.model.save(c.cache, c.scope()); err != nil {
		c.log.Error("writing the address space cache; a restart will browse first", "error", err)
	}
	c.log.Info("browsed", "nodes", len(c.model.handles), "variables", len(c.values.follow))
	return nil
}

// modelChanged handles a model change event. A server that sends them continually is
// not browsed continually.
func (c *connection) modelChanged(ctx context.Context) error {
	if wait := minBrowse - time.Since(c.crawled); c.crawl != nil || wait > 0 {
		time.AfterFunc(max(wait, time.Second), c.events.change)
		return nil
	}
	return c.browse(ctx)
}

// browse starts a crawl, with the namespace table as it is now: servers need not report
// that it has grown.
func (c *connection) browse(ctx context.Context) error {
	if c.crawl != nil {
		return nil
	}
	table, err := namespaces(ctx, c.session)
	if err != nil {
		return err
	}
	if !c.model.fits(table) {
		return errors.New("the server's namespace table has changed")
	}
	if len(table) != len(c.model.Namespaces) {
		c.model.Namespaces = table
		if err := c.model.announce(c.port); err != nil {
			return err
		}
	}
	c.startCrawl(ctx)
	return nil
}

// namespaces reads the namespace table as it is now.
func namespaces(ctx context.Context, server browseReader) (uris []string, err error) {
	items := []client.ReadItem{{Node: rawvalue.NodeID{Number: id.Server_NamespaceArray},
		Attribute: ua.AttributeIDValue}}
	err = server.Read(ctx, items, 0, func(_ int, v rawvalue.DataValue) {
		for _, element := range v.Value.Each() {
			c := rawvalue.NewCursor(element, rawvalue.Limits{})
			uris = append(uris, string(c.Bytes()))
		}
	})
	if err == nil && len(uris) == 0 {
		err = errors.New("the server returns no NamespaceArray")
	}
	return uris, err
}

var _ browseReader = (*client.Session)(nil)
