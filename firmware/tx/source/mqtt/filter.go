package mqtt

import (
	"strings"

	"heliograph/firmware/mqtt/topicfilter"
)

// subscribed keeps a broker from pushing what was not asked for, $SYS above
// all (MQTT 5.0 §4.7.2).
func subscribed(topic string, filters []string) bool {
	for _, filter := range filters {
		if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
			_, filter, _ = strings.Cut(rest, "/")
		}
		if topicfilter.Match(filter, topic) {
			return true
		}
	}
	return false
}
