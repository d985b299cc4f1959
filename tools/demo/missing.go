package demo

import "slices"

// missing are the numbers of a channel that have not arrived, of those below the
// newest. The zero value is ready.
type missing struct {
	spans []span // apart from each other, lowest first
	n     uint64
}

// span is the numbers first to last.
type span struct{ first, last uint64 }

// add adds numbers above all that were added before.
func (m *missing) add(first, last uint64) {
	m.spans = append(m.spans, span{first, last})
	m.n += last - first + 1
}

// remove reports whether n was missing, and that it no longer is.
func (m *missing) remove(n uint64) bool {
	i, _ := slices.BinarySearchFunc(m.spans, n, func(s span, n uint64) int {
		if s.last < n {
			return -1
		}
		return 1 // the first that does not end below n
	})
	if i == len(m.spans) || m.spans[i].first > n {
		return false
	}
	m.n--
	s := m.spans[i]
	rest := make([]span, 0, 2)
	if s.first < n {
		rest = append(rest, span{s.first, n - 1})
	}
	if n < s.last {
		rest = append(rest, span{n + 1, s.last})
	}
	m.spans = slices.Replace(m.spans, i, i+1, rest...)
	return true
}
