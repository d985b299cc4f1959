package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/rx/sink/sinktest"
)

func full(topic string) payload.Message {
	utf8, text := byte(1), "text/plain"
	return payload.Message{
		Topic: topic, QoS: 1, Retain: true, Payload: []byte("21.5"), PayloadFormat: &utf8, ContentType: &text,
		ResponseTopic: "answer", CorrelationData: []byte{0, 1}, Expires: true, Expiry: 300, Received: time.Now(),
		User: []payload.Property{{Name: "k", Value: "1"}, {Name: "k", Value: "2"}, {Name: "a", Value: ""}},
	}
}

func checkFull(t testing.TB, p *paho.Publish, topic string) {
	t.Helper()
	q := p.Properties
	if p.Topic != topic || string(p.Payload) != "21.5" || p.QoS != 1 || !p.Retain || q.PayloadFormat == nil ||
		*q.PayloadFormat != 1 ||
		q.ContentType != "text/plain" || q.ResponseTopic != "answer" || string(q.CorrelationData) != "\x00\x01" ||
		q.MessageExpiry == nil || *q.MessageExpiry < 280 || *q.MessageExpiry > 300 ||
		fmt.Sprint(q.User) != "[{k 1} {k 2} {a }]" {
		t.Errorf("got %+v %+v, want %s with every property", p, q, topic)
	}
}

func embeddedRig(t testing.TB, fill int, change ...func(*Deps)) (*rig, string) {
	t.Helper()
	address := await.FreeAddress(t)
	link := &sinktest.Channel{}
	for i := range fill {
		m := payload.Message{Topic: fmt.Sprintf("r/%05d", i), QoS: byte(i % 3), Retain: true, Payload: []byte("v")}
		link.Set(m.Topic, m.Append(nil))
	}
	change = append(change, func(d *Deps) { d.Channel = link })
	r := start(t, config.MQTTSink{Listen: "mqtt://" + address}, change...)
	r.link = link
	await.True(t, "the broker is up", func() bool { return r.Ready() == nil })
	return r, address
}

func TestEmbeddedBrokerServesItsSnapshotAndLiveMessages(t *testing.T) {
	const fill = 15000 // more than the server keeps for a client
	r, address := embeddedRig(t, fill)
	in := subscribe(t, address, "#")
	seen := map[string]byte{}
	for _, p := range in.wait(t, fill+1) {
		seen[p.Topic] = p.QoS
		if !p.Retain {
			t.Fatalf("%s: got no retain flag", p.Topic)
		}
	}
	for i := range fill {
		if q, ok := seen[fmt.Sprintf("r/%05d", i)]; !ok || q != byte(i%3) {
			t.Fatalf("key %d: got QoS %d, arrived %v; want QoS %d", i, q, ok, i%3)
		}
	}
	if seen["heliograph/pair/state"] != 1 {
		t.Error("the gateway's state is missing")
	}
	before := len(in.all())
	r.event(full("live"))
	for i := range 2000 {
		r.event(payload.Message{Topic: "n", QoS: byte(i % 3), Payload: fmt.Append(nil, i)})
	}
	got := in.wait(t, before+2001)[before:]
	checkFull(t, got[0], "live")
	for i, p := range got[1:] {
		if string(p.Payload) != fmt.Sprint(i) || p.QoS != byte(i%3) || p.Retain {
			t.Fatalf("message %d: got %q, QoS %d", i, p.Payload, p.QoS)
		}
	}
	if st := r.broker(); st.Dropped != 0 || st.Clients != 1 {
		t.Errorf("got %+v, want nothing dropped", st)
	}
}

func TestEmbeddedBrokerRefusesPublishing(t *testing.T) {
	r, address := embeddedRig(t, 0)
	in := subscribe(t, address, "#")
	in.wait(t, 1)
	ctx := await.Context(t)
	_, err := in.client.Publish(ctx, &paho.Publish{Topic: "x", QoS: 0, Payload: []byte("no")})
	if err != nil {
		t.Errorf("QoS 0 on 5: got %v, want it to go unnoticed", err)
	}
	got, err := in.client.Publish(ctx, &paho.Publish{Topic: "x", QoS: 1, Retain: true, Payload: []byte("no")})
	if err == nil || got == nil || got.ReasonCode != 0x87 {
		t.Errorf("QoS 1 on 5: got %+v, %v; want reason 0x87", got, err)
	}
	lost := make(chan struct{})
	old := paho3.NewClient(paho3.NewClientOptions().AddBroker("tcp://"+
		address).SetClientID("old").SetAutoReconnect(false).
		SetWill("x", "will", 1, true).SetProtocolVersion(4).SetConnectionLostHandler(func(paho3.Client,
		error) {
		close(lost)
	}))
	if tok := old.Connect(); !tok.WaitTimeout(await.Bound) || tok.Error() != nil {
		t.Fatalf("connect on 3.1.1: %v", tok.Error())
	}
	old.Publish("x", 1, true, "no")
	await.Receive(t, "QoS 1 on 3.1.1: a disconnect", lost)
	if st := r.broker(); st.NotPublished != 4 {
		t.Errorf("got %d refusals, want 4: three publishes and a will", st.NotPublished)
	}
	r.event(payload.Message{Topic: "last", QoS: 1})
	for _, p := range in.wait(t, 2) {
		if p.Topic == "x" {
			t.Errorf("got %q on x, want nothing", p.Payload)
		}
	}
}

func TestEmbeddedBrokerServesMQTT311AndChecksPasswords(t *testing.T) {
	r, address := embeddedRig(t, 10, func(d *Deps) {
		d.Verify = func(name, password string, _ netip.Addr) bool { return name == "it" && password == "right" }
	})
	connect := func(id, password string) (paho3.Client, error) {
		c := paho3.NewClient(paho3.NewClientOptions().AddBroker("tcp://" +
			address).SetClientID(id).SetAutoReconnect(false).
			SetProtocolVersion(4).SetUsername("it").SetPassword(password))
		tok := c.Connect()
		tok.WaitTimeout(await.Bound)
		return c, tok.Error()
	}
	if _, err := connect("a", "wrong"); err == nil || err.Error() != "not Authorized" {
		t.Errorf("wrong password on 3.1.1: got %v", err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := paho.NewClient(paho.ClientConfig{Conn: conn}).Connect(t.Context(), &paho.Connect{ClientID: "b"})
	if err == nil || ack == nil || ack.ReasonCode != 0x86 {
		t.Errorf("no password on 5: got %+v, %v; want reason 0x86", ack, err)
	}
	c, err := connect("c", "right")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(0)
	arrived := make(chan paho3.Message, 100)
	c.Subscribe("r/#", 2, func(_ paho3.Client, m paho3.Message) { arrived <- m })
	for i := range 10 {
		if m := await.Receive(t, fmt.Sprintf("retained message %d of 10", i+1), arrived); !m.Retained() {
			t.Errorf("%s: got no retain flag", m.Topic())
		}
	}
	if list := r.Clients(); len(list) != 1 || list[0].Address != netip.MustParseAddr("127.0.0.1") ||
		list[0].User != "it" || list[0].Application != "c" || list[0].Since.IsZero() {
		t.Errorf("clients: got %+v, want that of user it alone", list)
	}
	if st := r.broker(); st.Refused != 2 {
		t.Errorf("got %d refusals, want 2", st.Refused)
	}
}

func TestClientThatReadsNothingDoesNotBlockOthers(t *testing.T) {
	r, address := embeddedRig(t, 0)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	// CONNECT on 3.1.1 as "s", and SUBSCRIBE to # with QoS 1.
	const hello = "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01s\x82\x06\x00\x01\x00\x01#\x01"
	if _, err := conn.Write([]byte(hello)); err != nil {
		t.Fatal(err)
	}
	in := subscribe(t, address, "n")
	const n = 7000
	body := make([]byte, 1<<10)
	for i := range n {
		r.event(payload.Message{Topic: "n", QoS: 1, Payload: fmt.Appendf(nil, "%d %s", i, body)})
		if i%500 == 499 { // not faster than the healthy one
			in.wait(t, i+1)
		}
	}
	in.wait(t, n)
	if st := r.Stats(); st.Published != n {
		t.Errorf("got %+v, want %d published", st, n)
	}
}

func TestEmbeddedBrokerOverTLS(t *testing.T) {
	address := await.FreeAddress(t)
	cert, key, err := selfsigned.Ensure(t.TempDir(), "mqtt-cell", address, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, config.MQTTSink{Listen: "mqtts://" + address, TLS: config.TLS{Certificate: cert, PrivateKey: key}})
	await.True(t, "the broker is up", func() bool { return r.Ready() == nil })
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := paho.NewClient(paho.ClientConfig{Conn: conn}).Connect(t.Context(),
		&paho.Connect{ClientID: "s", KeepAlive: 30}); err != nil {
		t.Error(err)
	}
}

// TestEmbeddedBrokersShareTheirBudget leaves a session behind at one of two brokers,
// for which more than its part is published.
func TestEmbeddedBrokersShareTheirBudget(t *testing.T) {
	r, address := embeddedRig(t, 0, func(d *Deps) { d.Brokers = 16 })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// CONNECT on 3.1.1 as "s" without a clean session, and SUBSCRIBE to # with QoS 1.
	const hello = "\x10\x0d\x00\x04MQTT\x04\x00\x00\x3c\x00\x01s\x82\x06\x00\x01\x00\x01#\x01"
	if _, err := conn.Write([]byte(hello)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "it subscribed", func() bool { return r.broker().Sent > 0 })
	conn.Close()
	await.True(t, "it is gone", func() bool { return r.broker().Clients == 0 })
	for range 20 {
		r.event(payload.Message{Topic: "n", QoS: 1, Payload: make([]byte, 100<<10)})
	}
	await.True(t, "the session makes room", func() bool { return r.broker().Evicted == 1 })
}
