package mqtt

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"heliograph/firmware/platform/store"
)

// names remembers over restarts which topics crossed, so that a topic whose
// retained message is missing afterwards is asked for by its name before it is
// deleted at IT. The file is a record of package store:
//
//	names  { len(uvarint) topic } …, sorted
type names struct {
	path  string // "": not remembered
	log   *slog.Logger
	saved []byte
}

// load returns the topics of an earlier run.
func (n *names) load() (topics []string) {
	if n.path == "" {
		return nil
	}
	if n.saved == nil {
		b, err := store.Read(n.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			n.log.Warn("mqtt: the topics of earlier runs are not known", "error", err)
		}
		n.saved = append([]byte{}, b...)
	}
	for b := n.saved; len(b) > 0; {
		size, k := binary.Uvarint(b)
		if k <= 0 || size > uint64(len(b)-k) {
			break
		}
		topics = append(topics, string(b[k:k+int(size)]))
		b = b[k+int(size):]
	}
	return topics
}

// save keeps topics if they have changed.
func (n *names) save(topics []string) {
	if n.path == "" {
		return
	}
	slices.Sort(topics)
	var b []byte
	for _, topic := range topics {
		if len(b)+len(topic) > mostTopicLen {
			break
		}
		b = append(binary.AppendUvarint(b, uint64(len(topic))), topic...)
	}
	if strings.Compare(string(b), string(n.saved)) == 0 {
		return
	}
	if err := store.Write(n.path, b); err != nil {
		n.log.Warn("mqtt: the topics cannot be remembered", "error", err)
		return
	}
	n.saved = b
}
