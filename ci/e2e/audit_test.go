package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/audit"
)

var structured = regexp.MustCompile(
	`^<10[89]>1 \S+ \S+ heliograph - (\S+) \[audit@32473 number="(\d+)" source="(tx|rx)" category="[a-z_]+" event="([a-z_]+)" result="(success|failure)" count="(\d+)"\] `)

// gapless checks that the collector has the events of a board from number 1 on, and
// returns how many.
func (c *collector) gapless(source string) (int, error) {
	next := 1
	for _, line := range c.all() {
		m := structured.FindStringSubmatch(line)
		if m == nil {
			return 0, fmt.Errorf("the line %q is not one of the trail", line)
		}
		if m[3] != source {
			continue
		}
		if n, _ := strconv.Atoi(m[2]); n == next {
			next++
		} else if n > next {
			return 0, fmt.Errorf("%s's number %d comes after %d", source, n, next-1)
		}
	}
	return next - 1, nil
}

// notes are the events that a board shows, by source and kind, with their counts.
func notes(t *testing.T, r *rig.Role) map[string]uint64 {
	t.Helper()
	var s struct{ Notes []audit.Event }
	await.NoError(t, "status.json", func() error {
		body, code, err := r.Get("/status.json")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d", code)
		}
		if err == nil {
			s.Notes = nil
			err = json.Unmarshal([]byte(body), &s)
		}
		return err
	})
	counts := map[string]uint64{}
	for _, e := range s.Notes {
		counts[e.Source+" "+e.Event] += e.Count
	}
	return counts
}

// guessMQTT logs in with MQTT 3.1.1 and returns the CONNACK's code.
func guessMQTT(port int, name, password string) (byte, error) {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), await.Bound)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	body := text("MQTT") + "\x04\xc2\x00\x3c" + text("guesser") + text(name) + text(password)
	if err := c.SetDeadline(time.Now().Add(await.Bound)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c, "\x10"+string([]byte{byte(len(body))})+body); err != nil {
		return 0, err
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c, answer); err != nil {
		return 0, err
	}
	return answer[3], nil
}

// 3,000 wrong MQTT passwords and a stranger's frames each leave their count and wipe
// nothing; TX's events cross, also those of while RX was away, outlive RX's death, and all reach IT's collector
// numbered without a gap. The right password gets in meanwhile.
func TestAuditTrail(t *testing.T) {
	it := newCollector(t)
	broker, syslogPort := await.FreePort(t), await.FreePort(t)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nlisten = [\"udp://127.0.0.1:%d\"]\n[[mqtt]]\nchannel = "+
			"\"cell\"\nbroker = \"mqtt://127.0.0.1:1\"\n", syslogPort),
		fmt.Sprintf("[audit]\nforward = \"tcp://127.0.0.1:%d\"\n[[syslog]]\nchannel = \"log\"\nforward = "+
			"\"udp://127.0.0.1:9\"\n[[mqtt]]\nchannel = \"cell\"\nlisten = \"mqtt://127.0.0.1:%d\"\nusers_file = "+
			"\"users\"\n",
			it.port, broker))
	if err := users.Add(filepath.Join(g.Dir, "users"), "ann", "the right one"); err != nil {
		t.Fatal(err)
	}
	g.Start()
	await.NoError(t, "TX's start at RX", func() error {
		if n := notes(t, g.RX); n["tx role_started"] != 1 || n["rx role_started"] != 1 {
			return fmt.Errorf("got %v", n)
		}
		return nil
	})

	var refused atomic.Uint64
	var guessers sync.WaitGroup
	guesses := make(chan int)
	for range 40 {
		guessers.Go(func() {
			for i := range guesses {
				code, err := guessMQTT(broker, "ann", fmt.Sprint("guess ", i))
				for end := time.Now().Add(await.Bound); err != nil && time.Now().Before(end); { // not its turn in time
					code, err = guessMQTT(broker, "ann", fmt.Sprint("guess ", i))
				}
				if code == 0 && err == nil {
					t.Error("a wrong password was right")
				}
				if err == nil {
					refused.Add(1)
				}
			}
		})
	}
	entered := make(chan error, 1)
	go func() {
		time.Sleep(2 * time.Second) // in the middle of it
		var code byte
		var err error
		for end := time.Now().Add(await.Bound); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if code, err = guessMQTT(broker, "ann", "the right one"); code == 0 && err == nil {
				break // a client that is refused on a busy machine tries again
			}
		}
		if code != 0 {
			err = errors.Join(err, fmt.Errorf("refused with %d", code))
		}
		entered <- err
	}()
	for i := range 3000 {
		guesses <- i
	}
	close(guesses)
	guessers.Wait()
	if err := <-entered; err != nil {
		t.Errorf("the right password beside 40 guessers: %v", err)
	}

	stranger := strings.Replace(string(rig.Read(t, g.TX.Config)), `"pair.key"`, `"other.key"`, 1)
	stranger = strings.NewReplacer("state-tx", "state-other", g.Enter, g.Leave, strconv.Itoa(syslogPort),
		strconv.Itoa(await.FreePort(t)), strconv.Itoa(g.TX.Port()), strconv.Itoa(await.FreePort(t))).Replace(stranger)
	rig.Write(t, filepath.Join(g.Dir, "other.toml"), []byte(stranger))
	tool(t, "key", "new", filepath.Join(g.Dir, "other.key"))
	rig.Start(t, filepath.Join(programs, "heliotx"), "--config", filepath.Join(g.Dir, "other.toml"))
	await.NoError(t, "the stranger's frames", func() error {
		if n := notes(t, g.RX)["rx auth_failure"]; n < 50 {
			return fmt.Errorf("%d frames noted", n)
		}
		return nil
	})

	check := func(when string) {
		t.Helper()
		n := notes(t, g.RX)
		if n["rx login_refused"] < refused.Load() || refused.Load() < 2900 {
			t.Errorf("%s: got %d wrong passwords of %d answered, want all", when, n["rx login_refused"], refused.Load())
		}
		if n["tx role_started"] < 1 || n["rx login"] < 1 || n["rx auth_failure"] < 50 || n["rx audit_gap"] != 0 {
			t.Errorf("%s: got %v, want the start of TX, the login and the forged frames kept, and no gap", when, n)
		}
	}
	check("after the flood")
	time.Sleep(1500 * time.Millisecond) // what is on the disk is at most a second old
	g.RX.Stop()
	g.RX.Start()
	check("after a restart of RX")
	g.RX.Kill()
	g.RX.Start()
	check("after RX was killed")
	g.RX.Stop()
	g.TX.Stop()
	g.TX.Start() // while RX is down
	await.NoError(t, "TX's second start on TX", func() error {
		if n := notes(t, g.TX); n["tx role_started"] != 2 {
			return fmt.Errorf("got %v", n)
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	g.RX.Start()
	await.NoError(t, "TX's second start at RX", func() error {
		if n := notes(t, g.RX); n["tx role_started"] != 2 {
			return fmt.Errorf("got %v", n)
		}
		return nil
	})
	check("after both restarted")
	await.NoError(t, "both trails at the collector", func() error {
		tx, err := it.gapless("tx")
		if err != nil {
			return err
		}
		rx, err := it.gapless("rx")
		if err != nil || tx < 2 || rx < 5 {
			return errors.Join(err, fmt.Errorf("%d of TX, %d of RX", tx, rx))
		}
		return nil
	})
}
