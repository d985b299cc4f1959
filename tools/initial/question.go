package initial

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Question is one that a form asks and a flag answers.
type Question struct {
	Flag  string
	Page  Page
	Title string
	Help  string // one line: the flag's text
	// Field is where the answer goes. A secret is typed; its flag names a file instead.
	Field  func(*Answers) *string
	Secret func(*Answers) *string

	Asked   func(Answers) bool           // nil: always
	Needs   string                       // what has to be answered for it to be asked, as flags
	Options func(Answers) []string       // nil: any text
	Default func(Answers) string         // nil: none
	Check   func(Answers, string) error  // of an answer that is not empty; nil: any
	Missing func(Answers) (words string) // what to do about an empty answer; nil or "": it may be empty
}

// Page is a part of the form: what is on it depends on earlier pages alone.
type Page int

// The pages, in their order.
const (
	PageFiles Page = iota
	PagePair
	PageMedium
	PageLink
	PageOutside
	PageGateways
	PageSources
	PageListeners
	PageOPCUA
	PageOPCUAPassword
	PageMQTT
	PageMQTTPassword
	PageSyslog
	PageIT
	PageITServers
	PageITPassword
	PageStatus
	pages
)

// Pages are all of them.
func Pages() []Page {
	list := make([]Page, pages)
	for i := range list {
		list[i] = Page(i)
	}
	return list
}

// Title is what the form writes above a page.
func (p Page) Title() string {
	const plant, server, broker, it = "What is in the plant", "The OPC UA server", "The MQTT broker", "What IT gets"
	const boards = "The boards' own network"
	return [pages]string{"Files", "The pair", "The link", "The link", boards, boards, plant, plant, server,
		server, broker, broker, "Syslog", it, it, it, "Status and time"}[p]
}

// Questions returns all questions, each after those that it depends on.
func Questions() []Question {
	return slices.Concat(pairQuestions(), linkQuestions(), outsideQuestions(), plantQuestions(),
		itQuestions(), statusQuestions())
}

// PageOf returns the page of a question.
func PageOf(flag string) Page { return Questions()[indexOf(flag)].Page }

// Suggested returns what flags have when nothing is answered: those of a trial on one machine.
func Suggested() map[string]string {
	a, list := Answers{}, map[string]string{}
	for _, q := range Questions() {
		if strings.Contains(q.Help, "default:") {
			continue // it says so itself
		}
		list[q.Flag] = q.Suggest(a)
		if q.asked(a) {
			*q.Field(&a) = list[q.Flag]
		}
	}
	return list
}

// On returns the questions of a page that these answers lead to.
func On(p Page, a Answers) (list []Question) {
	for _, q := range Questions() {
		if q.Page == p && q.asked(a) {
			list = append(list, q)
		}
	}
	return list
}

func (q Question) asked(a Answers) bool { return q.Asked == nil || q.Asked(a) }

// Suggest returns the answer that a question has without an answer.
func (q Question) Suggest(a Answers) string {
	if q.Default == nil {
		return ""
	}
	return q.Default(a)
}

// required says what to do without an answer, "" where there need not be one.
func (q Question) required(a Answers) string {
	if q.Missing == nil {
		return ""
	}
	return q.Missing(a)
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1000

// Verify says what is wrong with an answer, in words that say what to write.
func (q Question) Verify(a Answers, answer string) error {
	unprintable := func(c rune) bool { return !unicode.IsPrint(c) }
	switch {
	case answer == "" && q.required(a) != "":
		return Fault{q.Flag, "", q.required(a)}
	case answer == "":
		return nil
	case len(answer) > maxAnswer || q.Secret == nil && strings.ContainsFunc(answer, unprintable):
		return Fault{q.Flag, "", fmt.Sprintf("write at most %d printable characters", maxAnswer)}
	case q.Options != nil && !slices.Contains(q.Options(a), answer):
		return Fault{q.Flag, answer, "write one of " + strings.Join(q.Options(a), ", ")}
	case q.Check != nil:
		if err := q.Check(a, answer); err != nil {
			if q.Secret != nil {
				answer = ""
			}
			return Fault{q.Flag, answer, err.Error()}
		}
	}
	if q.Secret != nil {
		return nil // what is typed
	}
	return q.configured(a, answer)
}

// Fault is what is wrong with an answer.
type Fault struct {
	Flag, Answer string
	Words        string // that say what to write
}

func (f Fault) Error() string {
	if f.Answer == "" {
		return fmt.Sprintf("--%s: %s", f.Flag, f.Words)
	}
	return fmt.Sprintf("--%s %q: %s", f.Flag, f.Answer, f.Words)
}

// Given are the flags of the questions that the command line has answered, also with an empty
// answer.
type Given map[string]bool

// Pointless is a flag whose question other answers leave out.
type Pointless struct{ Flag, Needs string }

func (p Pointless) Error() string {
	return fmt.Sprintf("--%s does not go with the other answers: it needs %s; leave it out, or add that", p.Flag,
		p.Needs)
}

// Complete answers the questions of a page that have no answer with what they suggest, and
// checks all. What other answers have made pointless is emptied, or a fault if it was given.
func Complete(p Page, a *Answers, given Given) error {
	for _, q := range Questions() {
		if q.Page != p {
			continue
		}
		if err := q.complete(a, given); err != nil {
			return err
		}
	}
	return nil
}

func (q Question) complete(a *Answers, given Given) error {
	field := q.Field(a)
	if !q.asked(*a) {
		if given[q.Flag] && *field != "" {
			return Pointless{q.Flag, q.Needs}
		}
		if *field = ""; q.Secret != nil {
			*q.Secret(a) = ""
		}
		return nil
	}
	*field = strings.TrimSpace(*field)
	if *field == "" && !given[q.Flag] {
		*field = q.Suggest(*a)
	}
	if *field == "none" && q.required(*a) == "" {
		*field = ""
	}
	answer := *field
	if q.Secret != nil && answer == "" {
		answer = *q.Secret(a)
	}
	if err := q.Verify(*a, answer); err != nil || q.Secret == nil || *field == "" {
		return err
	}
	return q.configured(*a, *field)
}
