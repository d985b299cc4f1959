package config

import "heliograph/firmware/platform/text"

// Machine is what a configuration is for beside its role: what [link] may leave out on
// it, and how what depends on it is checked. The zero value is any machine.
type Machine struct {
	Device    string // of a UART link; "": the file has to name it
	Baud      int    // of a UART link; 0: the same default as on any machine
	Interface string // of an Ethernet link; "": the file has to name it
	KeyLater  string // what gives the machine a key file that is missing, in words; "": it must be there
	// Check returns what does not fit the machine; nil checks nothing. It has no side
	// effect, and may be called for a configuration that has other faults.
	Check func(Setup) []Misfit
}

// Setup is what in a configuration depends on the machine.
type Setup struct {
	Role   string // tx or rx
	Link   Link
	Listen []Setting // "host:port" of each listener
}

// Setting is the value of one key. Table is "" for the top level, "link", "mqtt[0]".
type Setting struct{ Table, Key, Value string }

// Misfit is a key whose value does not fit the machine.
type Misfit struct{ Table, Key, Message string }

// fitMachine reports what does not fit the machine that the configuration is for.
func (r *report) fitMachine(s Setup) {
	if r.machine.Check == nil {
		return
	}
	for _, m := range r.machine.Check(s) {
		r.fault(tablePath(m.Table), m.Key, "%s", m.Message)
	}
}

// Misfits returns the faults of a further document of the machine, valid TOML, in the
// order of its lines.
func Misfits(file string, document []byte, list []Misfit) Faults {
	r := report{file: file, lines: findLines(text.TrimMark(document))}
	for _, m := range list {
		r.fault(tablePath(m.Table), m.Key, "%s", m.Message)
	}
	_ = r.err() // sorts
	return r.faults
}
