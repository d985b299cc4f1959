package watch

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
)

// Our own bounds.
const (
	answerTime = 5 * time.Second // a board that takes longer does not answer
	maxAnswer  = 8 << 20         // bytes; a board with 200 channels sends less than one
	idleTime   = 20 * time.Second
	maxSaid    = 300 // bytes of why a board refuses
)

// Login is how boards are asked.
type Login struct {
	Password string
	Roots    *x509.CertPool // nil: the system's
	Trusted  []string       // certificates that need no authority, of ParseTrusted
}

// ParseTrusted reads the SHA-256 of certificates, with or without colons.
func ParseTrusted(list []string) (trusted []string, err error) {
	for _, t := range list {
		digits := strings.ToLower(strings.ReplaceAll(t, ":", ""))
		if b, err := hex.DecodeString(digits); err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("%q is not the SHA-256 of a certificate: 64 hexadecimal digits", t)
		}
		trusted = append(trusted, digits)
	}
	return trusted, nil
}

// client asks one board.
type client struct {
	http    *http.Client
	address Address
	login   Login
}

func newClient(a Address, l Login) *client {
	c := &client{address: a, login: l}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: answerTime}).DialContext,
			// verify decides: the standard check knows no certificate that was named.
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
				VerifyConnection: c.verify},
			MaxResponseHeaderBytes: 64 << 10,
			MaxConnsPerHost:        1,
			IdleConnTimeout:        idleTime,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// verify accepts a certificate that was named, and those of an authority for this host.
func (c *client) verify(s tls.ConnectionState) error {
	own := s.PeerCertificates[0]
	sum := sha256.Sum256(own.Raw)
	digits := hex.EncodeToString(sum[:])
	if slices.Contains(c.login.Trusted, digits) {
		return nil
	}
	options := x509.VerifyOptions{DNSName: c.address.host, Roots: c.login.Roots, Intermediates: x509.NewCertPool()}
	for _, between := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(between)
	}
	if _, err := own.Verify(options); err != nil {
		return certificateError{digits, err}
	}
	return nil
}

// certificateError is a certificate that is not accepted.
type certificateError struct {
	digits string
	cause  error
}

func (e certificateError) Error() string {
	return fmt.Sprintf("certificate not accepted: %v; if it is the board's own, give --trust %s", e.cause, e.digits)
}

// Get returns what a board's /status.json says, for those who read more of it.
func Get(ctx context.Context, a Address, l Login) ([]byte, error) {
	c := newClient(a, l)
	defer c.http.CloseIdleConnections()
	return c.body(ctx)
}

// Refused is a question that a board did not answer.
type Refused struct {
	Code   int           // of HTTP
	After  time.Duration // before it may be asked again, where the board says so
	Said   string        // its first line, without control characters
	reason string
}

// Error implements error.
func (r *Refused) Error() string { return r.reason }

// Statement returns what a board's /statement.json says to a nonce. Its error may be a Refused.
func Statement(ctx context.Context, a Address, l Login, nonce string) ([]byte, error) {
	a.url = strings.TrimSuffix(a.url, statusPath) + "/statement.json?nonce=" + url.QueryEscape(nonce)
	return Get(ctx, a, l)
}

// get asks the board once.
func (c *client) get(ctx context.Context) (*status.Snapshot, error) {
	body, err := c.body(ctx)
	if err != nil {
		return nil, err
	}
	var s status.Snapshot
	if err := json.Unmarshal(body, &s); err != nil || s.Role != "rx" && s.Role != "tx" {
		return nil, errors.New("not the status of a board: is this the address of its status page?")
	}
	return &s, nil
}

// body asks the board once for its status.
func (c *client) body(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if c.address.User != "" {
		r.SetBasicAuth(c.address.User, c.login.Password)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, reason(err, c.address.Name)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer, c.address.User)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, reason(err, c.address.Name)
	case len(body) > maxAnswer:
		return nil, errors.New("not the status of a board: the answer is larger than 8 MiB")
	}
	return body, nil
}

// refusal is an answer with another status than OK.
func refusal(answer *http.Response, user string) error {
	r := &Refused{Code: answer.StatusCode, reason: refused(answer.StatusCode, user).Error()}
	if after, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16); err == nil {
		r.After = time.Duration(after) * time.Second
	}
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxSaid)) // what came of it
	line, _, _ := strings.Cut(string(said), "\n")
	r.Said = text.Printable(line)
	return r
}

// refused says what an HTTP status means.
func refused(code int, user string) error {
	switch {
	case code == http.StatusUnauthorized && user == "":
		return errors.New("the board asks for a user: write https://USER@ADDRESS")
	case code == http.StatusUnauthorized:
		return fmt.Errorf("user %s or the password is wrong", user)
	case code == http.StatusMisdirectedRequest:
		return errors.New("the board does not go by this name: use its address, or add the name to hosts in [status]")
	case code == http.StatusBadRequest:
		return errors.New("HTTP 400: is the status page at https://?")
	case code >= 300 && code < 400:
		return fmt.Errorf("HTTP %d: it refers to another address, which is not followed", code)
	}
	return fmt.Errorf("HTTP %d: is this the address of a board's status page?", code)
}

// reason shortens an error of a connection to what an operator can do something about.
func reason(err error, address string) error {
	if wrong, ok := errors.AsType[certificateError](err); ok {
		return wrong
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsTimeout && !name.IsNotFound {
			return errors.New("no nameserver answers")
		}
		return fmt.Errorf("the name %s is not known", name.Name)
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return errors.New("TLS is not supported there: write http://")
	}
	op, network := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return fmt.Errorf("no answer within %s", answerTime)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: the role does not run, or [status] listen has another port")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s closed the connection without an answer: is it a status server?", address)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s reset the connection: is it a status server?", address)
	case network && (op.Op == "dial" || op.Op == "proxyconnect"):
		return fmt.Errorf("no connection: %w", op.Err)
	case network && op.Op == "remote error":
		return fmt.Errorf("%s refuses TLS: %w", address, op.Err)
	case strings.Contains(err.Error(), `"\x15\x03`): // a TLS alert (RFC 8446 section 5.1), as net/http quotes it
		return errors.New("TLS is needed there: write https://")
	}
	return fmt.Errorf("what answers at %s is not a status server", address)
}
