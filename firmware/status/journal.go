package status

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// keptNotes is how many notes a journal keeps for the status page.
const keptNotes = 50

// Journal notes what bears on security: in the log, and the newest for the
// status page. Safe for concurrent use.
type Journal struct {
	Log   *slog.Logger
	mu    sync.Mutex
	notes []Note
}

// Add takes a note. event is a fixed word, text says it in words.
func (j *Journal) Add(event, text string) {
	j.Log.Warn(text, "audit", event)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, Note{Time: time.Now(), Event: event, Text: text})
	j.notes = j.notes[max(len(j.notes)-keptNotes, 0):]
}

// Notes returns the newest notes, newest last.
func (j *Journal) Notes() []Note {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.notes)
}
