//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// The two roles run on Linux, and these commands start them or their drivers.
func benchCommand() *cobra.Command {
	return linuxAlone("bench", "Measure throughput, latency and loss of the link (on Linux)")
}

func demoCommand() *cobra.Command {
	return linuxAlone("demo", "Watch a simulated plant's messages cross an impaired one-way link (on Linux)")
}

func doctorCommand() *cobra.Command {
	return linuxAlone("doctor", "Find out why one side does not work, and what cures it (on Linux)")
}

// leaveToOwner does nothing where the roles do not run.
func leaveToOwner(string) (leave func() error) { return func() error { return nil } }

func linuxAlone(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, DisableFlagParsing: true,
		RunE: failing(func(*cobra.Command, []string) error {
			return errors.New(name + " runs heliotx and heliorx, which are programs for Linux: use a Linux machine, " +
				"or board-demo, which emulates two boards")
		})}
}
