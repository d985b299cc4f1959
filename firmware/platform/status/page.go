package status

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/platform/counter"
)

//go:embed page.html
var pageText string

// openNotes is how many events of the audit trail the page does not fold.
const openNotes = 12

// view is what the page shows: a snapshot, and when it was taken.
type view struct {
	Snapshot
	Now time.Time
}

// shell is the page around its parts, which are HTML already.
type shell struct {
	*view
	Top   template.HTML
	Parts []template.HTML
}

// partNames are the parts of the page below its header, in their order.
func (v *view) partNames() []string {
	switch {
	case len(v.Refused) > 0 && len(v.Boards) > 0:
		return []string{"trust", "boards"}
	case len(v.Refused) > 0:
		return []string{"trust"}
	}
	return []string{"trust", "link", "channels", "outages", "certificates", "clients", "boards", "counters", "audit"}
}

// renderPage writes the page for people.
func renderPage(w io.Writer, s Snapshot, now time.Time) error {
	v := &view{s, now}
	parts, err := v.parts()
	if err != nil {
		return err
	}
	page := shell{view: v, Top: template.HTML(parts["top"])} // escaped where it was rendered, as the others
	for _, name := range v.partNames() {
		page.Parts = append(page.Parts, template.HTML(parts[name]))
	}
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	return t.Execute(w, page)
}

// parts renders each part of the page, by its name.
func (v *view) parts() (map[string]string, error) {
	t, err := pageTemplate()
	if err != nil {
		return nil, err
	}
	parts := map[string]string{}
	for _, name := range append(v.partNames(), "top") {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return nil, fmt.Errorf("status: part %s of the page: %w", name, err)
		}
		parts[name] = b.String()
	}
	return parts, nil
}

// pageTemplate parses the page once.
var pageTemplate = sync.OnceValues(func() (*template.Template, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"asset":    assetPath,
		"upper":    strings.ToUpper,
		"names":    func(m map[string]Channel) []string { return slices.Sorted(maps.Keys(m)) },
		"protocol": protocolName,
		"count":    count,
		"counted":  func(n uint64) string { return count(&n) },
		"rate":     perSecond,
		"share":    share,
		"words":    func(name string) string { return strings.ReplaceAll(name, "_", " ") },
		"seconds":  seconds,
		"bytes":    humanBytes,
		"size":     size,
		"moment":   moment,
		"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"bad":      func(n *uint64) bool { return value(n) > 0 },
		"tone":     tone,
		"pending":  func(complete *bool) bool { return complete != nil && !*complete },
		"sentence": sentence,
		"days":     daysLeft,
		"ends":     certificateTone,
		"groups":   groups,
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("status: page template: %w", err)
	}
	return t, nil
})

// RX says on which side the page is.
func (v *view) RX() bool { return v.Role == "rx" }

// Level is how far the numbers can be trusted: "yes", "partly" or "no".
func (v *view) Level() string {
	switch {
	case len(v.Refused) > 0:
		return "no"
	case v.Trust != nil:
		return string(v.Trust.Level)
	case v.Ready:
		return "yes"
	}
	return "no"
}

// Verdict answers in a sentence whether the numbers can be trusted.
func (v *view) Verdict() string {
	switch {
	case v.Trust != nil:
		return v.Trust.Sentence
	case v.Ready:
		return "Ready."
	}
	return "Not ready."
}

// Title begins with a mark that a narrow tab still shows.
func (v *view) Title() string {
	mark := map[string]string{"yes": "✓", "partly": "!", "no": "✕"}[v.Level()]
	return strings.Join(strings.Fields(mark+" "+v.Pair+" "+strings.ToUpper(v.Role)), " ") + " – heliograph"
}

// Icon is the asset for the browser's tab.
func (v *view) Icon() string { return "icon-" + v.Level() + ".svg" }

// Ago is for how long something has been so.
func (v *view) Ago(since time.Time) string { return Rounded(max(v.Now.Sub(since), 0).Seconds()) }

// Sinks are those of a channel.
func (v *view) Sinks(channel string) (list []Peer) {
	for _, p := range v.Peers {
		if p.Channel == channel {
			list = append(list, p)
		}
	}
	return list
}

// OtherSinks are the sinks that do not belong to a channel, such as that of the audit trail.
func (v *view) OtherSinks() (list []Peer) {
	for _, p := range v.Peers {
		if _, known := v.Channels[p.Channel]; !known {
			list = append(list, p)
		}
	}
	return list
}

// repairs are those of a class of lanes.
type repairs struct {
	Class, Most  string // parity frames that a repair took at most
	Done, Beyond uint64
}

// Repairs say how near the link came to what parity repairs; RX alone knows.
func (v *view) Repairs() (list []repairs) {
	if v.Measurement == nil {
		return nil
	}
	for _, c := range v.Measurement.Classes {
		r := repairs{Class: c.Class, Most: "0", Beyond: c.Beyond}
		for i, n := range c.Needed.Counts {
			r.Done += n
			switch {
			case n > 0 && i < len(c.Needed.Bounds):
				r.Most = fmt.Sprint(c.Needed.Bounds[i])
			case n > 0 && i > 0:
				r.Most = fmt.Sprintf("more than %v", c.Needed.Bounds[i-1])
			}
		}
		if r.Done+r.Beyond > 0 {
			list = append(list, r)
		}
	}
	return list
}

// NewestHoles are those of all channels.
func (v *view) NewestHoles() []ChannelHole { return newestHoles(v.Snapshot) }

// daysLeft says how long a certificate is still valid.
func daysLeft(c Certificate) string {
	if c.DaysLeft < 0 {
		return "expired"
	}
	days := uint64(c.DaysLeft)
	return count(&days)
}

// groups breaks hexadecimal digits into groups that can be compared by eye.
func groups(digits string) string {
	const group = 4
	var out []string
	for len(digits) > group {
		out, digits = append(out, digits[:group]), digits[group:]
	}
	return strings.Join(append(out, digits), " ")
}

// certificateTone is the class of a certificate's end.
func certificateTone(c Certificate) string {
	switch {
	case c.DaysLeft < 7:
		return "bad"
	case c.DaysLeft < 30:
		return "warn"
	}
	return ""
}

// countersView are sets without the counters that are zero.
type countersView struct {
	Sets         []counter.Set
	Moved, Zeros int
}

// MovedCounters are those of the snapshot, nil when it has none.
func (v *view) MovedCounters() *countersView {
	if len(v.Counters) == 0 {
		return nil
	}
	var m countersView
	for _, s := range v.Counters {
		all := len(s.Values)
		s.Values = slices.DeleteFunc(slices.Clone(s.Values), func(v counter.Value) bool { return v.Value == 0 })
		m.Zeros += all - len(s.Values)
		m.Moved += len(s.Values)
		if len(s.Values) > 0 {
			m.Sets = append(m.Sets, s)
		}
	}
	return &m
}

// NewestNotes are the newest events of the audit trail, newest first.
func (v *view) NewestNotes() []Note { return reversed(v.Notes[max(len(v.Notes)-openNotes, 0):]) }

// OlderNotes are those before them.
func (v *view) OlderNotes() []Note { return reversed(v.Notes[:max(len(v.Notes)-openNotes, 0)]) }

func reversed(notes []Note) []Note {
	notes = slices.Clone(notes)
	slices.Reverse(notes)
	return notes
}
