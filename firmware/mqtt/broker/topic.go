package broker

import "strings"

// maxLevels bounds the levels of a filter.
const maxLevels = 128

// validFilter reports whether f is a topic filter (MQTT 5.0 section 4.7.1).
func validFilter(f string) bool {
	if f == "" || strings.Count(f, "/") >= maxLevels {
		return false
	}
	for level, more := "", true; more; {
		level, f, more = strings.Cut(f, "/")
		if level != "+" && strings.Contains(level, "+") || level != "#" && strings.Contains(level, "#") ||
			level == "#" && more {
			return false
		}
	}
	return true
}

func hasWildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// tree finds the subscriptions that select a topic. A node is a level.
type tree struct {
	next map[string]*tree
	subs map[*session]*subscription
}

func (t *tree) add(filter string, sub *subscription) {
	for level, more := "", true; more; {
		level, filter, more = strings.Cut(filter, "/")
		if t.next == nil {
			t.next = map[string]*tree{}
		}
		if t.next[level] == nil {
			t.next[level] = &tree{}
		}
		t = t.next[level]
	}
	if t.subs == nil {
		t.subs = map[*session]*subscription{}
	}
	t.subs[sub.session] = sub
}

// remove removes a subscription, and the nodes that are empty then.
func (t *tree) remove(filter string, s *session) {
	level, rest, more := strings.Cut(filter, "/")
	child := t.next[level]
	if child == nil {
		return
	}
	if more {
		child.remove(rest, s)
	} else {
		delete(child.subs, s)
	}
	if len(child.next)+len(child.subs) == 0 {
		delete(t.next, level)
	}
}

// find calls f with each subscription that selects the topic.
func (t *tree) find(topic string, f func(*subscription)) { t.search(topic, topic[0] == '$', f) }

func (t *tree) search(topic string, literal bool, f func(*subscription)) {
	level, rest, more := strings.Cut(topic, "/")
	if !literal { // section 4.7.2
		t.next["#"].each(f)
		t.next["+"].descend(rest, more, f)
	}
	t.next[level].descend(rest, more, f)
}

func (t *tree) descend(rest string, more bool, f func(*subscription)) {
	switch {
	case t == nil:
	case more:
		t.search(rest, false, f)
	default:
		t.each(f)
		t.next["#"].each(f) // the parent level
	}
}

func (t *tree) each(f func(*subscription)) {
	if t == nil {
		return
	}
	for _, sub := range t.subs {
		f(sub)
	}
}
