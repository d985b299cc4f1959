package mqtt

import "strings"

// subscribed keeps a broker from pushing what was not asked for, $SYS above
// all (MQTT 5.0 §4.7.2).
func subscribed(topic string, filters []string) bool {
	for _, filter := range filters {
		if matches(filter, topic) {
			return true
		}
	}
	return false
}

func matches(filter, topic string) bool {
	if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		want, restFilter, moreFilter := strings.Cut(filter, "/")
		got, restTopic, moreTopic := strings.Cut(topic, "/")
		switch {
		case want == "#":
			return true
		case want != "+" && want != got:
			return false
		case !moreFilter && !moreTopic:
			return true
		case !moreTopic:
			return restFilter == "#" // "a/#" has "a" in it
		case !moreFilter:
			return false
		}
		filter, topic = restFilter, restTopic
	}
}
