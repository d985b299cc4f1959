package console

import (
	"fmt"
	"strings"
)

// keyWord is a key with its word, which has the key in brackets where it can, and what
// it does.
type keyWord struct {
	key  byte
	word string
	does string
}

func keyWords() []keyWord {
	return []keyWord{
		{'s', "[s]tatus", "status of the board, its link and its channels"},
		{'f', "[f]indings", "what is wrong, and what cures it"},
		{'l', "[l]og", "newest lines of the log"},
		{'c', "[c]erts", "certificates: this board's own; those that were rejected, to trust one"},
		{'n', "[n]etwork", "hostname, address, gateway and nameservers"},
		{'e', "[e]poch", "accept a transmitter that was replaced"},
		{'x', "[x] key", "which pair keys are used; change to a new one"},
		{ProbeKey, "[v] probe", "reverse probe of a receiver: send towards TX, where nothing may arrive"},
		{'t', "[t]est", "self-test of the board"},
		{'d', "[d]iag", "bundle for a program: status, log, self-test"},
		{'j', "[j]son", "status for a program"},
		{'k', "[k] restart role", "restart the role"},
		{'w', "[w]atchdog", "freeze the role: the watchdog has to reset the board"},
		{'r', "[r]estart board", "restart the board"},
		{'p', "[p]ower off", "power off"},
		{'?', "[?] keys", "this list; ESC and Ctrl-C leave a question"},
	}
}

// Help names the keys, in lines of at most width characters.
func Help(width int) string {
	var lines []string
	for _, k := range keyWords() {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(k.word) <= width {
			lines[last] += " " + k.word
		} else {
			lines = append(lines, k.word)
		}
	}
	return strings.Join(lines, "\n")
}

// Manual says what each key does.
func Manual(width int) string {
	var lines []string
	for _, k := range keyWords() {
		lines = append(lines, Wrap(fmt.Sprintf("%c  %s", k.key, k.does), width, 3)...)
	}
	return strings.Join(lines, "\n")
}
