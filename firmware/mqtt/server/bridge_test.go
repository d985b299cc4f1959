package server

import (
	"bufio"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	payload "heliograph/firmware/conduit/payload/mqtt"
)

// bridge is a mosquitto that bridges from a server; it returns what a client of
// that mosquitto reads, a line a message.
func bridge(t *testing.T, from, more string) <-chan string {
	t.Helper()
	b := mosquitto.Start(t, "bridging with mosquitto",
		"connection plant\naddress "+from+"\ntopic # in 2\nrestart_timeout 1\n"+more)
	sub := exec.Command("mosquitto_sub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", b.Port(), "-t", "#", "-q", "2",
		"--retain-as-published", "-F", "%t %q %r %p")
	out, err := sub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Process.Kill(); _ = sub.Wait() })
	lines := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// TestMosquittoBridges has IT's mosquitto bridge from a server with the three
// lines that this takes. Live messages keep their retain flag, and the
// connection holds although the bridge publishes its state.
func TestMosquittoBridges(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv50"} {
		t.Run(version, func(t *testing.T) {
			s := start(t, Config{})
			s.Publish(&payload.Message{Topic: "r/old", QoS: 1, Retain: true, Payload: []byte("kept")}, 0)
			lines := bridge(t, s.Address(), "bridge_protocol_version "+version)
			next := func() string { return await.Receive(t, "a message from the bridge", lines) }
			got := []string{next()}
			s.Publish(&payload.Message{Topic: "r/live", QoS: 1, Retain: true, Payload: []byte("1")}, 0)
			s.Publish(&payload.Message{Topic: "event", QoS: 2, Payload: []byte("2")}, 0)
			s.Publish(&payload.Message{Topic: "r/old", QoS: 0, Retain: true, Payload: []byte("3")}, 0)
			for range 3 {
				got = append(got, next())
			}
			slices.Sort(got) // mosquitto passes QoS 2 on later
			if want := "event 2 0 2|r/live 1 1 1|r/old 0 1 3|r/old 1 1 kept"; strings.Join(got, "|") != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if st := s.Stats(); st.Clients != 1 || st.Refused != 0 {
				t.Errorf("got %+v, want the bridge connected at once, and still", st)
			}
		})
	}
}
