package mqtt

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// readTopics asks for topics by their names, and deletes those that the broker has
// nothing of. It returns those that changed meanwhile.
func (r *reader) readTopics(ctx context.Context, c connection, topics []string) (changed []string, err error) {
	s := r.source
	s.retained.watchLive()
	r.mu.Lock()
	r.asked, r.changed = make(map[string]struct{}, len(topics)), nil
	for _, topic := range topics {
		r.asked[topic] = struct{}{}
	}
	r.mu.Unlock()
	if err := r.ask(ctx, c, topics); err != nil {
		return nil, err
	}
	if topics = r.missing(); len(topics) > 0 {
		if err := r.askAgain(ctx, c, topics); err != nil {
			return nil, err
		}
	}
	for _, topic := range r.missing() {
		s.deleteMissing(topic)
	}
	err = r.tooMany()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed, err
}

// missing returns the topics without an answer.
func (r *reader) missing() (topics []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range r.asked {
		topics = append(topics, topic)
	}
	return topics
}

// chunks cuts topics into what is asked for at once.
func chunks(topics []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for len(topics) > 0 {
			n, bytes := 1, len(topics[0])
			for n < min(len(topics), topicsAtOnce) && bytes+len(topics[n]) <= bytesAtOnce {
				bytes += len(topics[n])
				n++
			}
			if !yield(topics[:n]) {
				return
			}
			topics = topics[n:]
		}
	}
}

// ask subscribes to topics by their names, a chunk after the other.
func (r *reader) ask(ctx context.Context, c connection, topics []string) error {
	for part := range chunks(topics) {
		if err := c.subscribe(ctx, part, 2); err != nil {
			return fmt.Errorf("asking for %d topics: %w", len(part), err)
		}
		if err := c.unsubscribe(ctx, part); err != nil {
			return fmt.Errorf("asking for %d topics: %w", len(part), err)
		}
	}
	return r.awaitQuiet(ctx, c)
}

// askAgain asks with QoS 0, of which no message waits for an acknowledgement, and
// stays subscribed until all answers must be there.
func (r *reader) askAgain(ctx context.Context, c connection, topics []string) error {
	for part := range chunks(topics) {
		if err := c.subscribe(ctx, part, 0); err != nil {
			return fmt.Errorf("asking for %d topics again: %w", len(part), err)
		}
	}
	if err := r.awaitQuiet(ctx, c); err != nil {
		return err
	}
	for part := range chunks(topics) {
		if err := c.unsubscribe(ctx, part); err != nil {
			return fmt.Errorf("unsubscribing: %w", err)
		}
	}
	return nil
}

// tooMany returns errTopics once there are more topics than can be noted.
func (r *reader) tooMany() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source.retained.liveExceeded() {
		return errTopics
	}
	return r.failed
}

// awaitQuiet waits until no retained message that was asked for has come for a while and the
// broker has answered after that, so that no answer is on its way: brokers may send retained
// messages after their answer to the subscription. Since a topic is asked for a bounded number
// of times, that comes.
func (r *reader) awaitQuiet(ctx context.Context, c connection) error {
	r.mu.Lock()
	r.last = time.Now()
	r.mu.Unlock()
	for {
		if err := r.tooMany(); err != nil {
			return err
		}
		if err := c.barrier(ctx); err != nil {
			return fmt.Errorf("asking whether that was all: %w", err)
		}
		r.mu.Lock()
		wait := time.Until(r.last.Add(r.source.retained.quiet))
		r.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
