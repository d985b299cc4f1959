package console

import "context"

// ProbeKey has a receiver send reverse probes.
const ProbeKey = 'v'

// mostSaid is how many lines a work says at most; further ones are left out.
const mostSaid = 64

// work goes on while the console takes keys. ESC and Ctrl-C end it.
type work struct {
	lines  <-chan string // closed at its end
	cancel context.CancelFunc
}

// probe has the board send reverse probes.
func (c *Console) probe() {
	if c.board.Status().Role != "rx" {
		c.say("Only a receiver sends reverse probes: what a transmitter sends is for its link to carry.")
		return
	}
	c.ask("Send probes on the link towards TX, by each means that it has? One-way, it carries none of them.", func() {
		c.say("Sending; ESC or Ctrl-C ends it.")
		c.start(c.board.Probe)
	})
}

// start does something that takes a while.
func (c *Console) start(do func(ctx context.Context, say func(string)) error) {
	ctx, cancel := context.WithCancel(context.Background())
	lines := make(chan string, mostSaid)
	c.work = &work{lines, cancel}
	c.mode = func(key byte) {
		if key == escapeKey || key == ctrlC {
			cancel()
		}
	}
	say := func(line string) {
		select {
		case lines <- line:
		default:
		}
	}
	go func() {
		defer close(lines)
		if err := do(ctx, say); err != nil {
			say(err.Error())
		}
	}()
}

// Lines are what a work that is under way says; nil while there is none.
func (c *Console) Lines() <-chan string {
	if c.work == nil {
		return nil
	}
	return c.work.lines
}

// Said takes what was received from Lines. more is false at the end of the work.
func (c *Console) Said(line string, more bool) {
	if more {
		c.say(line)
		return
	}
	c.end()
}

// end ends a work.
func (c *Console) end() {
	if c.work != nil {
		c.work.cancel()
		c.work, c.mode = nil, nil
	}
}
