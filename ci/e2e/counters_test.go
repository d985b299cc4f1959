package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/archtest"
	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// TestEveryCounterIsShown starts both roles with every protocol and every kind of
// sink, over UDP and over a UART, and looks for each counter of the sources in
// what they show.
func TestEveryCounterIsShown(t *testing.T) {
	counters, _, err := archtest.Counters(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	plant, it := await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	rig.Mosquitto(t, it, rig.Unlimited)
	tx := fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nbroker = \"mqtt://127.0.0.1:%d\"\ntopics = [\"#\"]\n", plant) +
		fmt.Sprintf("[[mqtt]]\nchannel = \"cell-2\"\nbroker = \"mqtt://127.0.0.1:%d\"\ntopics = [\"#\"]\n", plant) +
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nlisten = [\"udp://127.0.0.1:%[1]d\", \"tcp://127.0.0.1:%[1]d\"]\n",
			await.FreePort(t)) +
		fmt.Sprintf("[[opcua]]\nchannel = \"line\"\nendpoint = \"opc.tcp://127.0.0.1:%d\"\nsecurity_policy = "+
			"\"None\"\nsecurity_mode = \"None\"\n", await.FreePort(t)) + "[replay]\ndisk = \"64MiB\"\n"
	rx := fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nbroker = \"mqtt://127.0.0.1:%d\"\n", it) +
		fmt.Sprintf("[[mqtt]]\nchannel = \"cell-2\"\nlisten = \"mqtt://127.0.0.1:%d\"\n", await.FreePort(t)) +
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nforward = \"tcp://127.0.0.1:%d\"\n", await.FreePort(t)) +
		fmt.Sprintf("[[opcua]]\nchannel = \"line\"\nlisten = \"opc.tcp://127.0.0.1:%d\"\nsecurity = "+
			"[\"None\"]\nanonymous = true\nhistory = \"1d\"\n", await.FreePort(t))
	exported := newTelemetry(t)
	tx += fmt.Sprintf("[telemetry]\nendpoint = %q\n", exported.URL)
	rx += fmt.Sprintf("[telemetry]\nendpoint = %q\n", exported.URL)
	rx += fmt.Sprintf("[audit]\nforward = \"tcp://127.0.0.1:%d\"\n", await.FreePort(t))
	rx += fmt.Sprintf("[announce]\nforward = \"tcp://127.0.0.1:%d\"\n", await.FreePort(t))
	var metrics strings.Builder
	var documents []any
	for _, g := range []*gateway{newGateway(t, linktest.Profile{}, tx, rx), newSerial(t, linktest.Profile{}, tx, rx)} {
		g.Start()
		for _, r := range []*rig.Role{g.TX, g.RX} {
			await.NoError(t, "metrics", func() error {
				body, code, err := r.Get("/metrics")
				if err == nil && code == http.StatusOK {
					metrics.WriteString(body)
					checkMetrics(t, body)
				}
				return err
			})
			body, _, err := r.Get("/status.json")
			var document any
			if err == nil {
				err = json.Unmarshal([]byte(body), &document)
			}
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, document)
		}
		g.TX.Stop()
		g.RX.Stop()
	}
	exported.compare(t, metrics.String())
	ethernet := ethernetMetrics(t)
	_, body, _ := strings.Cut(ethernet, "\r\n\r\n")
	checkMetrics(t, body)
	metrics.WriteString(ethernet)
	for _, c := range counters {
		if c.Shown != "" && !at(documents, strings.Split(c.Shown, ".")) {
			t.Errorf("%s: /status.json of no role has %s", c.Field, c.Shown)
		}
		if c.Name != "" && !shown(metrics.String(), c) {
			t.Errorf("%s: no role has a metric %s with the help %q", c.Field, c.Name, c.Help)
		}
	}
}

// checkMetrics has promtool read metrics: their syntax, names, units and help.
func checkMetrics(t *testing.T, metrics string) {
	t.Helper()
	path := rig.Program(t, "promtool", "that metrics follow the practice of Prometheus")
	c := exec.Command(path, "check", "metrics")
	c.Stdin = strings.NewReader(metrics)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// ethernetMetrics returns what a receiver on an Ethernet interface shows.
func ethernetMetrics(t *testing.T) (metrics string) {
	t.Helper()
	_, ns := namespaces(t)
	dir := t.TempDir()
	tool(t, "key", "new", filepath.Join(dir, "pair.key"))
	conf := filepath.Join(dir, "rx.toml")
	rig.Write(t, conf, []byte("pair = \"e2e\"\n[link]\nmedium = \"ethernet\"\ninterface = \"link0\"\nkey_file = "+
		"\"pair.key\"\n"+
		"[state]\ndirectory = \"state-rx\"\n[status]\nlisten = \"127.0.0.1:9464\"\n"+
		"[[syslog]]\nchannel = \"log\"\nforward = \"udp://127.0.0.1:6011\"\n"))
	rig.Start(t, "/usr/bin/env", "ip", "netns", "exec", ns, filepath.Join(programs, "heliorx"), "--config", conf)
	await.NoError(t, "metrics over Ethernet", func() (err error) {
		var conn net.Conn // made on this thread: package net/http would use another
		within(t, ns, func() error { conn, err = net.Dial("tcp", "127.0.0.1:9464"); return nil })
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			return err
		}
		body, err := io.ReadAll(conn)
		metrics = string(body)
		return err
	})
	return metrics
}

// shown reports whether metrics have a counter's name with its help.
func shown(metrics string, c archtest.Counter) bool {
	for line := range strings.Lines(metrics) {
		name, help, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "# HELP heliograph_"), " ")
		if ok && help == c.Help && strings.HasSuffix(strings.TrimSuffix(name, "_total"), "_"+c.Name) {
			return true
		}
	}
	return false
}

// at reports whether a document has something at a path; names of channels and
// positions in lists are left out of it.
func at(v any, path []string) bool {
	if len(path) == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[path[0]]; ok && at(next, path[1:]) {
			return true
		}
		for _, next := range v {
			if at(next, path) {
				return true
			}
		}
	case []any:
		for _, next := range v {
			if at(next, path) {
				return true
			}
		}
	}
	return false
}
