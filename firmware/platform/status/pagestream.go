package status

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"
)

// pageEvent is what an open page is sent each second.
type pageEvent struct {
	Title string            `json:"title"`
	Icon  string            `json:"icon"`
	Parts map[string]string `json:"parts"` // those that are not as the page has them, as HTML
}

// livePage renders the parts of the page once a second for all pages that are open.
type livePage struct {
	mu    sync.Mutex
	made  time.Time
	event pageEvent // with all parts
}

// newest returns all parts as they are now.
func (l *livePage) newest(now time.Time, snapshot func() Snapshot) (pageEvent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.event.Parts != nil && now.Sub(l.made) < streamEvery {
		return l.event, nil
	}
	v := &view{snapshot(), now}
	parts, err := v.parts()
	if err != nil {
		return pageEvent{}, err
	}
	l.made, l.event = now, pageEvent{v.Title(), assetPath(v.Icon()), parts}
	return l.event, nil
}

// pageStream is what one open page has been sent.
type pageStream struct{ sent map[string]string }

// next returns the event that brings the page up to date.
func (p *pageStream) next(newest pageEvent) ([]byte, error) {
	changed := maps.Clone(newest.Parts)
	maps.DeleteFunc(changed, func(name, html string) bool { return p.sent[name] == html })
	p.sent = newest.Parts
	newest.Parts = changed
	body, err := json.Marshal(newest)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "event: page\ndata: %s\n\n", body), nil
}
