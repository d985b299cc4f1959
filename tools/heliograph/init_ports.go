package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"heliograph/firmware/platform/cause"
	"heliograph/tools/initial"
)

// mostPorts is how many ports are tried for one that is free.
const mostPorts = 1000

// ports looks whether both roles can listen where the answers say, when both are for this machine.
// What no one has answered it changes; an answer is a fault, with another port that is free.
func (i *initiation) ports() error {
	if !i.answers.OneMachine() {
		return nil
	}
	for range mostPorts { // each time one fewer listener is wrong
		wrong := i.occupied()
		if wrong == nil {
			return nil
		}
		if i.given[wrong.Flag] || i.asked[wrong.Flag] {
			return *wrong
		}
		for _, q := range initial.Questions() {
			if field := q.Field(&i.answers); q.Flag == wrong.Flag && *field == wrong.Answer {
				var why string
				why, *field, _ = strings.Cut(wrong.Words, ": write ")
				said := fmt.Sprintf("--%s %s: %s: %s was taken instead", wrong.Flag, wrong.Answer, why, *field)
				fmt.Fprintln(i.notes, said)
				i.moved = append(i.moved, said)
				wrong = nil
				break
			}
		}
		if wrong != nil { // of a further source
			return *wrong
		}
	}
	return nil
}

// occupied returns the first listener that does not get its port, nil for none.
func (i *initiation) occupied() *initial.Fault {
	all := i.answers.Sources()
	sources := len(all)
	all = append(all, i.answers.Listeners()...)
	for n, l := range all[sources:] {
		why := ""
		for _, before := range all[:sources+n] {
			if same(before, l) {
				why = "--" + before.Flag + " has that port"
			}
		}
		if why == "" {
			why = unusable(l)
		}
		if why == "" {
			continue
		}
		return &initial.Fault{Flag: l.Flag, Answer: l.Answer, Words: why + " on this machine: write " + proposal(l,
			all)}
	}
	return nil
}

// same reports whether two listeners want one port.
func same(a, b initial.Listener) bool {
	hostA, portA, _ := net.SplitHostPort(a.Address)
	hostB, portB, _ := net.SplitHostPort(b.Address)
	wild := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	named := func(host string) string { return strings.Replace(host, "localhost", "127.0.0.1", 1) }
	return a.Network == b.Network && portA == portB && (named(hostA) == named(hostB) || wild(hostA) || wild(hostB))
}

// unusable says why a port cannot be listened on, "" where it can, or where that does not show.
func unusable(l initial.Listener) string {
	var open io.Closer
	var err error
	if l.Network == "udp" {
		open, err = net.ListenPacket("udp", l.Address)
	} else {
		open, err = net.Listen("tcp", l.Address)
	}
	if err == nil {
		_ = open.Close() // nothing was read
		return ""
	}
	switch cause.Of(err).Code {
	case cause.PortInUse:
		return "another program has that port"
	case cause.PortPermission:
		return "a port below 1024 takes root"
	}
	return ""
}

// proposal is the answer with another port, which is free.
func proposal(l initial.Listener, all []initial.Listener) string {
	host, port, _ := net.SplitHostPort(l.Address)
	n, err := strconv.Atoi(port)
	if err != nil {
		return "another port"
	}
	if n < 1024 {
		n += 5000 // as 5514 is for 514
	}
next:
	for tried := n + 1; tried < n+mostPorts && tried < 1<<16; tried++ {
		other := initial.Listener{Network: l.Network, Address: net.JoinHostPort(host, strconv.Itoa(tried))}
		for _, taken := range all {
			if same(taken, other) {
				continue next
			}
		}
		if unusable(other) == "" {
			return strings.Replace(l.Answer, l.Address, other.Address, 1)
		}
	}
	return "another port"
}
