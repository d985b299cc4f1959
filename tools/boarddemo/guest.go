package boarddemo

import (
	"bytes"
	"io"
	"net"
	"slices"
)

// guest is a program that is connected to a board's console.
type guest struct {
	conn net.Conn
	text chan []byte // for it
}

const guestRoom = 1024 // pieces of text that wait for a slow one

// serve lets programs of this machine use the board's console as they would use the cable,
// until the listener is closed.
func (m *Machine) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g := &guest{conn: c, text: make(chan []byte, guestRoom)}
		m.mu.Lock()
		m.guests = append(m.guests, g)
		m.mu.Unlock()
		go g.read()
		go func() {
			_, _ = io.Copy(m.keys, c) // it ends when either of the two does
			m.leave(g)
		}()
	}
}

// read hands a guest what is shown.
func (g *guest) read() {
	for text := range g.text {
		if _, err := g.conn.Write(text); err != nil {
			_ = g.conn.Close()
		}
	}
}

// show has each guest see what the board shows. One that reads too slowly is
// disconnected. The caller holds mu.
func (m *Machine) show(p []byte) {
	for _, g := range m.guests {
		select {
		case g.text <- bytes.Clone(p):
		default:
			_ = g.conn.Close()
		}
	}
}

func (m *Machine) leave(g *guest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guests = slices.DeleteFunc(m.guests, func(other *guest) bool { return other == g })
	close(g.text)
	_ = g.conn.Close()
}
