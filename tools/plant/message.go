package plant

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Message returns the text of a channel's nth message: the one who gets it can tell
// which one it is, when it was sent, and that nothing of it was altered.
func Message(n uint64, at time.Time, tag string, value float64) string {
	s := fmt.Sprintf(`{"n":%d,"t":%d,"tag":%q,"value":%.2f`, n, at.UnixNano(), tag, value)
	return fmt.Sprintf(`%s,"crc":"%08x"}`, s, crc32.ChecksumIEEE([]byte(s)))
}

// Parse reads a message. ok is false when it was altered.
func Parse(text string) (n uint64, at time.Time, ok bool) {
	i := strings.Index(text, `{"n":`)
	j := strings.LastIndex(text, `,"crc":"`)
	if i < 0 || j < i || len(text) < j+len(`,"crc":"`)+8 {
		return 0, at, false
	}
	sum, err := strconv.ParseUint(text[j+len(`,"crc":"`):][:8], 16, 32)
	if err != nil || crc32.ChecksumIEEE([]byte(text[i:j])) != uint32(sum) {
		return 0, at, false
	}
	var nanos int64
	if k, err := fmt.Sscanf(text[i:], `{"n":%d,"t":%d,`, &n, &nanos); k != 2 || err != nil {
		return 0, at, false
	}
	return n, time.Unix(0, nanos), true
}
