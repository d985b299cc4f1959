package main

import (
	"io"
	"os"
	"os/exec"

	"heliograph/rootfs/sandbox"
	"heliograph/rootfs/supervisor"
)

// sandboxes starts roles in sandboxes.
type sandboxes struct{}

// Start implements supervisor.Starter.
func (sandboxes) Start(s sandbox.Spec, log io.Writer) (supervisor.Process, error) {
	c, err := sandbox.Command(s)
	if err != nil {
		return nil, err
	}
	c.Stderr = log
	reports, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return process{c, reports}, nil
}

// process is a role that runs.
type process struct {
	*exec.Cmd
	reports io.Reader
}

// PID implements supervisor.Process.
func (p process) PID() int { return p.Process.Pid }

// Reports implements supervisor.Process.
func (p process) Reports() io.Reader { return p.reports }

// Signal implements supervisor.Process.
func (p process) Signal(s os.Signal) error { return p.Process.Signal(s) }
