package config

import (
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// OtherRole is the error of a file that was given for the one role and is the other's. What is
// wrong with it for the one is not reported: who followed that would damage a correct file.
type OtherRole struct {
	File string
	Role string // whose file it is: tx or rx
}

// Error says whose file it is, and which one is to be named.
func (o OtherRole) Error() string {
	wanted := "tx"
	if o.Role == wanted {
		wanted = "rx"
	}
	return fmt.Sprintf("%s: this is helio%s's file; name helio%s's", o.File, o.Role, wanted)
}

// Unread is the error of a configuration that cannot be read. It names the file.
type Unread struct{ Err error }

func (u Unread) Error() string { return u.Err.Error() }

// Unwrap returns why the file cannot be read.
func (u Unread) Unwrap() error { return u.Err }

// ofOther returns OtherRole in place of the faults of a file that is a role's. As that role's
// file it may have faults, too.
func ofOther(path, role string, faults, asOther error) error {
	if _, ok := errors.AsType[Faults](faults); ok && (asOther == nil || RoleOf(path) == role) {
		return OtherRole{File: path, Role: role}
	}
	return faults
}

// RoleOf finds out which role a file is for, tx or rx, from the keys that only one of the two
// has; "" in doubt.
func RoleOf(path string) string {
	text, err := ReadFile(path)
	if err != nil {
		return "" // loading says why
	}
	var file struct {
		StaleAfter any `toml:"stale_after"`
		OPCUA      any `toml:"opcua"`
		MQTT       any `toml:"mqtt"`
		Syslog     any `toml:"syslog"`
	}
	if toml.Unmarshal(text, &file) != nil {
		return ""
	}
	tx, rx := 0, 0
	if file.StaleAfter != nil {
		rx++
	}
	count := func(tables any, txKeys, rxKeys []string) {
		list, _ := tables.([]any)
		for _, one := range list {
			table, _ := one.(map[string]any)
			tx += among(table, txKeys)
			rx += among(table, rxKeys)
		}
	}
	count(file.OPCUA, []string{"endpoint"}, []string{"listen"})
	count(file.MQTT, []string{"topics", "class"}, []string{"listen", "topic_prefix", "spool"})
	count(file.Syslog, []string{"listen"}, []string{"forward"})
	switch {
	case rx > tx:
		return "rx"
	case tx > rx:
		return "tx"
	}
	return ""
}

// among counts the keys that the table holds.
func among(table map[string]any, keys []string) int {
	n := 0
	for _, key := range keys {
		if _, ok := table[key]; ok {
			n++
		}
	}
	return n
}
