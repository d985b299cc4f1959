package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"slices"

	"heliograph/firmware/platform/store"
)

// remembered keeps over restarts which topics crossed, so that a topic whose
// retained message is missing afterwards is asked for by its name before it is
// deleted at IT; and which filters the session at the broker may have. The file is a
// record of package store:
//
//	{ len(uvarint) topic } …, sorted, and among them
//	{ len(uvarint) 00 filter } …    no topic contains NUL (MQTT 5.0 §1.5.4)
type remembered struct {
	path string // "": nothing is kept
	log  *slog.Logger

	loaded bool
	saved  []byte
	lists
}

// lists is what a file has.
type lists struct{ topicList, filterList []string }

// filterMark stands before a filter.
const filterMark = "\x00"

// topics returns the topics that were saved last.
func (r *remembered) topics() []string {
	r.load()
	return r.topicList
}

// filters returns the filters that were saved last.
func (r *remembered) filters() []string {
	r.load()
	return r.filterList
}

func (r *remembered) load() {
	if r.loaded || r.path == "" {
		return
	}
	r.loaded = true
	b, err := store.Read(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("topics of earlier runs are not known", "error", err)
	}
	r.saved, r.lists = b, decodeLists(b)
}

// saveTopics keeps topics if they have changed.
func (r *remembered) saveTopics(topics []string) {
	r.load()
	slices.Sort(topics)
	r.save(lists{topicList: topics, filterList: r.filterList})
}

// saveFilters keeps filters if they have changed.
func (r *remembered) saveFilters(filters []string) {
	r.load()
	filters = slices.Clone(filters)
	slices.Sort(filters)
	r.save(lists{topicList: r.topicList, filterList: filters})
}

func (r *remembered) save(l lists) {
	if r.path == "" {
		return
	}
	b := l.encode()
	if r.lists = l; bytes.Equal(b, r.saved) {
		return
	}
	if err := store.Write(r.path, b); err != nil {
		r.log.Warn("topics cannot be kept", "error", err)
		return
	}
	r.saved = b
}

func (l lists) encode() (b []byte) {
	for _, filter := range l.filterList {
		b = append(binary.AppendUvarint(b, uint64(len(filterMark)+len(filter))), filterMark+filter...)
	}
	for _, topic := range l.topicList {
		if len(b)+len(topic) > maxTopicBytes {
			break
		}
		b = append(binary.AppendUvarint(b, uint64(len(topic))), topic...)
	}
	return b
}

// decodeLists decodes a file up to what is not well-formed.
func decodeLists(b []byte) (l lists) {
	for len(b) > 0 {
		size, k := binary.Uvarint(b)
		if k <= 0 || size > uint64(len(b)-k) {
			break
		}
		entry := b[k : k+int(size)]
		b = b[k+int(size):]
		if filter, ok := bytes.CutPrefix(entry, []byte(filterMark)); ok {
			l.filterList = append(l.filterList, string(filter))
		} else {
			l.topicList = append(l.topicList, string(entry))
		}
	}
	return l
}
