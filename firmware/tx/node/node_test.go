package node

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

func TestFramesLeaveOnTheMedium(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			frames := len(r.medium.received())
			if frames == 0 || r.Snapshot().Link.Frames == 0 {
				t.Errorf("got %d frames, %d in the snapshot; want some", frames, r.Snapshot().Link.Frames)
			}
		})
		if !r.medium.closed.Load() {
			t.Error("the medium was not closed")
		}
	})
}

func TestAConstructorsErrorEndsTheNodeAndUnlocksTheState(t *testing.T) {
	broken := errors.New("broken")
	for name, breakIt := range map[string]func(*Config){
		"medium": func(c *Config) {
			c.Build.Medium = func(config.Link, *slog.Logger) (Medium, error) { return Medium{}, broken }
		},
		"mqtt": func(c *Config) {
			c.Build.MQTT = func(config.MQTTSource, string, source.Holder, *slog.Logger) (task.Task, error) {
				return nil,
					broken
			}
		},
		"syslog": func(c *Config) {
			c.TX.Syslog = []config.SyslogSource{{Channel: "log"}}
			c.Build.Syslog = func(config.SyslogSource, source.Port, *slog.Logger) (task.Task, error) {
				return nil,
					broken
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			r := newRig(t, c)
			r.Close()
			c.Build = r.Node.config.Build
			good := c
			breakIt(&c)
			if _, err := New(c); !errors.Is(err, broken) {
				t.Fatalf("got %v, want %v", err, broken)
			}
			if closed := r.medium.closed.Load(); closed != (name != "medium") {
				t.Errorf("medium closed: %v", closed)
			}
			n, err := New(good)
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			n.Close()
		})
	}
}

func TestTheStatusServerShowsTheNode(t *testing.T) {
	c := testConfig(t)
	c.TX.Status.Listen = "127.0.0.1:0"
	r := newRig(t, c)
	r.run(t, func() {
		var server *status.Server
		for _, p := range r.Tasks() {
			if s, ok := p.(*status.Server); ok {
				server = s
			}
		}
		await.True(t, "the status server listens", func() bool { return server.Address() != "" })
		answer, err := http.Get("http://" + server.Address() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable ||
			!strings.Contains(string(body), "channel cell-1: source connecting") {
			t.Errorf("got %d %q, %v", answer.StatusCode, body, err)
		}
	})
}
