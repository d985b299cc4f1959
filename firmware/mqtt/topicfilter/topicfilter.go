// Package topicfilter matches topic names against topic filters, with the wildcards
// of MQTT 5.0 section 4.7, which MQTT 3.1.1 has too. It refuses to check its
// arguments: a filter that is not valid matches some name or none.
package topicfilter

import "strings"

// Match reports whether a filter selects a topic name. It does not know shared
// subscriptions: the caller cuts "$share/GROUP/" off.
func Match(filter, name string) bool {
	if strings.HasPrefix(name, "$") && !strings.HasPrefix(filter, "$") {
		return false // section 4.7.2
	}
	for {
		level, filterRest, filterMore := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		nameLevel, nameRest, nameMore := strings.Cut(name, "/")
		switch {
		case level != "+" && level != nameLevel:
			return false
		case !filterMore && !nameMore:
			return true
		case !nameMore:
			return filterRest == "#" // the parent level
		case !filterMore:
			return false
		}
		filter, name = filterRest, nameRest
	}
}
