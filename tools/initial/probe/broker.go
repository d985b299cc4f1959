package probe

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"

	"github.com/eclipse/paho.golang/packets"
	v311 "github.com/eclipse/paho.mqtt.golang/packets"

	"heliograph/firmware/config"
)

// Broker is how to connect to an MQTT broker.
type Broker struct {
	URL, Authority, Name, Password string // Authority: PEM file; "" for the system's
	AuthorityFlag                  string // that names it
}

// Welcome is what a broker answers to CONNECT.
type Welcome struct {
	Version string   `json:"version"`
	Limits  []string `json:"limits,omitempty"` // that it names, in words
}

// Refused is a broker's refusal, in words.
type Refused struct {
	Version string
	Code    byte
	Words   string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the broker refuses the connection (MQTT %s, code %#x): %s", e.Version, e.Code, e.Words)
}

// errVersion and errHungUp are why 3.1.1 is tried.
var (
	errVersion = errors.New("the broker does not support MQTT 5")
	errHungUp  = errors.New("it hung up without an answer: is it an MQTT broker, and mqtts:// where it " +
		"wants TLS?")
)

// maxConnack bounds the answer to CONNECT, in bytes.
const maxConnack = 64 << 10

// Welcomes connects to a broker, with MQTT 5 and then with 3.1.1, and leaves again.
func Welcomes(ctx context.Context, b Broker) (Welcome, error) {
	w, err := b.connect(ctx, dialect5())
	if errors.Is(err, errVersion) || errors.Is(err, errHungUp) {
		return b.connect(ctx, dialect311())
	}
	return w, err
}

// dialect is a version of MQTT: what is sent, and what the answer says.
type dialect struct {
	connect func(Broker, io.Writer) error
	answer  func(body []byte) (Welcome, error)
	leave   []byte
}

func (b Broker) connect(ctx context.Context, d dialect) (Welcome, error) {
	conn, err := b.dial(ctx)
	if err != nil {
		return Welcome{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		err = d.connect(b, conn)
	}
	var body []byte
	if err == nil {
		body, err = readConnack(conn)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Welcome{}, fmt.Errorf("%s does not answer: is it an MQTT broker, and mqtts:// where it wants TLS?",
			b.URL)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return Welcome{}, fmt.Errorf("connecting to %s: %w", b.URL, errHungUp)
	case err != nil:
		return Welcome{}, err
	}
	w, err := d.answer(body)
	if err == nil {
		_, _ = conn.Write(d.leave)
	}
	return w, err
}

func (b Broker) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, unreachable(b.URL, "MQTT broker", err)
	}
	if u.Scheme != "mqtts" {
		return conn, nil
	}
	cfg := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if b.Authority != "" {
		pem, err := config.ReadFile(b.Authority)
		cfg.RootCAs = x509.NewCertPool()
		if err == nil && !cfg.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s contains no PEM certificate", b.Authority)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w: name the authority that signed its certificate with %s", b.URL, err,
			cmp.Or(b.AuthorityFlag, "--mqtt-ca"))
	}
	return secure, nil
}

// readConnack reads one packet, which has to be a CONNACK, and returns what is behind its
// fixed header (MQTT 5.0 §2.1).
func readConnack(r io.Reader) ([]byte, error) {
	in := bufio.NewReaderSize(r, 16)
	kind, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	size, err := binary.ReadUvarint(in) // the same encoding, of at most four bytes
	switch {
	case err != nil:
		return nil, err
	case kind != packets.CONNACK<<4:
		return nil, fmt.Errorf("the answer begins with %#x and is not MQTT: check the address and its port", kind)
	case size > maxConnack || size < 2:
		return nil, fmt.Errorf("the answer to CONNECT has %d bytes and is not MQTT: check the address", size)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(in, body)
	return body, err
}

// clientID is ours for this once.
func clientID() string { return "heliograph-init-" + rand.Text()[:8] }

func dialect5() dialect {
	return dialect{
		connect: func(b Broker, w io.Writer) error {
			c := &packets.Connect{ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, KeepAlive: 30,
				ClientID: clientID(), Properties: &packets.Properties{}, Username: b.Name, UsernameFlag: b.Name != "",
				Password: []byte(b.Password), PasswordFlag: b.Name != ""}
			_, err := c.WriteTo(w)
			return err
		},
		answer: answer5,
		leave:  []byte{packets.DISCONNECT << 4, 0},
	}
}

func answer5(body []byte) (w Welcome, err error) {
	code := body[1]
	if code == v311.ErrRefusedBadProtocolVersion || code == packets.ConnackUnsupportedProtocolVersion {
		return w, errVersion
	}
	if code != 0 {
		return w, &Refused{"5", code, refusal(code)}
	}
	c := packets.Connack{Properties: &packets.Properties{}}
	if err := c.Unpack(bytes.NewBuffer(body)); err != nil {
		return w, fmt.Errorf("the answer to CONNECT is malformed: %v", err)
	}
	w.Version = "5"
	if p := c.Properties; p != nil {
		if p.MaximumPacketSize != nil {
			w.Limits = append(w.Limits, fmt.Sprintf("packets of at most %d bytes", *p.MaximumPacketSize))
		}
		if p.ReceiveMaximum != nil {
			w.Limits = append(w.Limits, fmt.Sprintf("at most %d unacknowledged messages", *p.ReceiveMaximum))
		}
		if p.RetainAvailable != nil && *p.RetainAvailable == 0 {
			w.Limits = append(w.Limits, "no retained messages")
		}
		if p.WildcardSubAvailable != nil && *p.WildcardSubAvailable == 0 {
			w.Limits = append(w.Limits, "no wildcards in topic filters: name topics with --mqtt-topics")
		}
	}
	return w, nil
}

func dialect311() dialect {
	return dialect{
		connect: func(b Broker, w io.Writer) error {
			c := v311.NewControlPacket(v311.Connect).(*v311.ConnectPacket)
			c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.Keepalive = "MQTT", 4, true, 30
			c.ClientIdentifier = clientID()
			c.Username, c.UsernameFlag, c.Password, c.PasswordFlag = b.Name, b.Name != "", []byte(b.Password),
				b.Name != ""
			return c.Write(w)
		},
		answer: func(body []byte) (Welcome, error) {
			if code := body[1]; code != 0 {
				return Welcome{}, &Refused{"3.1.1", code, refusal(code)}
			}
			return Welcome{Version: "3.1.1"}, nil
		},
		leave: []byte{v311.Disconnect << 4, 0},
	}
}

// refusal says what to do about the code of a CONNACK (MQTT 5.0 §3.2.2.2, 3.1.1 §3.2.2.3).
func refusal(code byte) string {
	switch code {
	case packets.ConnackBadUsernameOrPassword, v311.ErrRefusedBadUsernameOrPassword:
		return "wrong name or password: check --mqtt-user and its password"
	case packets.ConnackNotAuthorized, v311.ErrRefusedNotAuthorised:
		return "not authorized: it wants another name and password, or none may connect from here"
	case packets.ConnackInvalidClientID, v311.ErrRefusedIDRejected:
		return "it does not take the client identifier: set client_id to one that it knows"
	case packets.ConnackServerUnavailable, v311.ErrRefusedServerUnavailable, packets.ConnackServerBusy:
		return "it is not available now: try again"
	case packets.ConnackBanned:
		return "this client is banned: ask who runs it"
	case packets.ConnackUseAnotherServer, packets.ConnackServerMoved:
		return "it has moved: ask for its new address"
	case packets.ConnackConnectionRateExceeded:
		return "too many connections: try again later"
	case packets.ConnackBadAuthenticationMethod:
		return "it wants a way to authenticate that heliotx does not have: use a name and password"
	}
	return "its log says why"
}
