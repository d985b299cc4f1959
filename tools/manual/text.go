package manual

import "strings"

// escaped are the characters that Markdown would take for marks.
var escaped = strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "<", "\\<", ">", "\\>", "[", "\\[", "]", "\\]",
	"`", "\\`", "|", "\\|", "#", "\\#", "~", "\\~", "\n", " ")

// plain is text of one paragraph that shows as it is written.
func plain(text string) string { return escaped.Replace(text) }

// literal shows lines as they are.
func literal(lines string) string { return "```\n" + strings.Trim(lines, "\n") + "\n```" }

// paragraphs shows a text as a terminal does: what is indented keeps its lines, the rest
// is filled.
func paragraphs(text string) string {
	var done []string
	var lines []string
	indented := false
	end := func() {
		joined := strings.Join(lines, "\n")
		switch {
		case strings.TrimSpace(joined) == "":
		case indented:
			done = append(done, literal(joined))
		default:
			done = append(done, plain(strings.TrimSpace(joined)))
		}
		lines = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if now := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); now != indented || line == "" {
			end()
			indented = now
		}
		lines = append(lines, line)
	}
	end()
	return strings.Join(done, "\n\n")
}
