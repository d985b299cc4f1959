package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
)

// quirks stands between the transmitter and the plant's server, without security, and
// makes that server odd in the ways that are switched on.
type quirks struct {
	delay    time.Duration // before each request but Publish is passed on
	losing   int           // every third notification is lost and cannot be had again, until so many are; 0: none
	clauses  int           // select clauses that an event filter may have; 0: any number
	listener net.Listener

	mu       sync.Mutex
	lost     int // notifications
	refused  int // filters
	requests int
}

// uacpHeader is what stands before the body of a MSG chunk without security (OPC 10000-6
// §6.7.2): message header, SecureChannelId, TokenId, SequenceNumber, RequestId.
const uacpHeader = 24

// before starts to pass connections on to an address.
func (q *quirks) before(t *testing.T, address string) {
	t.Helper()
	var err error
	if q.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.listener.Close() })
	go func() {
		for {
			c, err := q.listener.Accept()
			if err != nil {
				return
			}
			go q.serve(c, address)
		}
	}()
}

func (q *quirks) serve(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	answers := &answers{to: near}
	go func() {
		defer near.Close()
		for notifications := 0; ; {
			chunk, err := readChunk(far)
			if err != nil {
				return
			}
			switch kindOf(chunk) {
			case id.PublishResponse_Encoding_DefaultBinary:
				if notifications++; notifications%3 == 0 {
					chunk = q.lose(chunk)
				}
			case id.RepublishResponse_Encoding_DefaultBinary:
				if q.losing > 0 {
					chunk = fault(chunk, ua.StatusBadMessageNotAvailable)
				}
			}
			if answers.send(chunk) != nil {
				return
			}
		}
	}()
	for {
		chunk, err := readChunk(near)
		if err != nil {
			return
		}
		q.count(&q.requests)
		if q.tooManyClauses(chunk) {
			q.count(&q.refused)
			if answers.send(refuseFilters(chunk)) != nil {
				return
			}
			continue
		}
		if kindOf(chunk) != id.PublishRequest_Encoding_DefaultBinary {
			time.Sleep(q.delay)
		}
		if _, err := far.Write(chunk); err != nil {
			return
		}
	}
}

// lose returns what arrives of a PublishResponse.
func (q *quirks) lose(chunk []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	less := withoutContent(chunk)
	if q.lost == q.losing || less == nil {
		return chunk
	}
	q.lost++
	return less
}

func (q *quirks) count(n *int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*n++
}

// answers numbers what goes to the client, because some of it is made here.
type answers struct {
	to net.Conn

	mu   sync.Mutex
	last uint32
}

func (a *answers) send(chunk []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := uacpHeader - 8
	switch string(chunk[:3]) {
	case "OPN":
		at = 12
		for range 3 { // policy, certificate, thumbprint
			if n := int32(binary.LittleEndian.Uint32(chunk[at:])); n > 0 {
				at += int(n)
			}
			at += 4
		}
	case "MSG":
	default:
		_, err := a.to.Write(chunk)
		return err
	}
	if a.last == 0 {
		a.last = binary.LittleEndian.Uint32(chunk[at:]) - 1
	}
	a.last++
	binary.LittleEndian.PutUint32(chunk[at:], a.last)
	_, err := a.to.Write(chunk)
	return err
}

func readChunk(c net.Conn) ([]byte, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n < 8 || n > 1<<20 {
		return nil, fmt.Errorf("a chunk of %d bytes", n)
	}
	chunk := append(head, make([]byte, n-8)...)
	_, err := io.ReadFull(c, chunk[8:])
	return chunk, err
}

// kindOf returns the encoding's number of a message of one chunk; else 0.
func kindOf(chunk []byte) uint32 {
	if string(chunk[:4]) != "MSGF" || len(chunk) < uacpHeader+4 || chunk[uacpHeader] != 1 {
		return 0
	}
	return uint32(binary.LittleEndian.Uint16(chunk[uacpHeader+2:]))
}

// withoutContent returns a PublishResponse with no notifications in its message: a keep-alive, which
// says that its sequence number comes next, where it will not. nil if it had none.
func withoutContent(chunk []byte) []byte {
	r := new(ua.PublishResponse)
	if _, err := ua.Decode(chunk[uacpHeader+4:], r); err != nil || len(r.NotificationMessage.NotificationData) == 0 {
		return nil
	}
	r.NotificationMessage.NotificationData = nil
	return uaMessage(chunk, id.PublishResponse_Encoding_DefaultBinary, r)
}

func uaMessage(chunk []byte, kind uint32, body any) []byte {
	b, err := ua.Encode(body)
	if err != nil {
		panic(err)
	}
	made := append(bytes.Clone(chunk[:uacpHeader]), 1, 0, byte(kind), byte(kind>>8))
	made = append(made, b...)
	binary.LittleEndian.PutUint32(made[4:], uint32(len(made)))
	return made
}

func header(handle uint32, code ua.StatusCode) *ua.ResponseHeader {
	return &ua.ResponseHeader{Timestamp: time.Now(), RequestHandle: handle, ServiceResult: code,
		ServiceDiagnostics: &ua.DiagnosticInfo{}, AdditionalHeader: ua.NewExtensionObject(nil)}
}

// fault answers in the place of a response.
func fault(chunk []byte, code ua.StatusCode) []byte {
	handle := binary.LittleEndian.Uint32(chunk[uacpHeader+4+8:])
	return uaMessage(chunk, id.ServiceFault_Encoding_DefaultBinary,
		&ua.ServiceFault{ResponseHeader: header(handle, code)})
}

func monitored(chunk []byte) *ua.CreateMonitoredItemsRequest {
	r := new(ua.CreateMonitoredItemsRequest)
	if kindOf(chunk) != id.CreateMonitoredItemsRequest_Encoding_DefaultBinary {
		return nil
	}
	if _, err := ua.Decode(chunk[uacpHeader+4:], r); err != nil {
		return nil
	}
	return r
}

func (q *quirks) tooManyClauses(chunk []byte) bool {
	r := monitored(chunk)
	if q.clauses == 0 || r == nil {
		return false
	}
	for _, item := range r.ItemsToCreate {
		p := item.RequestedParameters
		if p == nil || p.Filter == nil {
			continue
		}
		if f, is := p.Filter.Value.(*ua.EventFilter); is && len(f.SelectClauses) > q.clauses {
			return true
		}
	}
	return false
}

func refuseFilters(chunk []byte) []byte {
	r := monitored(chunk)
	answer := &ua.CreateMonitoredItemsResponse{ResponseHeader: header(r.RequestHeader.RequestHandle, ua.StatusOK)}
	for range r.ItemsToCreate {
		answer.Results = append(answer.Results, &ua.MonitoredItemCreateResult{
			StatusCode: ua.StatusBadEventFilterInvalid, FilterResult: ua.NewExtensionObject(nil)})
	}
	return uaMessage(chunk, id.CreateMonitoredItemsResponse_Encoding_DefaultBinary, answer)
}

// TestTheMirrorOfAnOddServerShowsAllOfIt compares a mirror with its source behind each
// kind of quirk that a server on the way can have.
func TestTheMirrorOfAnOddServerShowsAllOfIt(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]*quirks{
		"needs 300 ms for each service":                {delay: 300 * time.Millisecond},
		"loses notifications that cannot be had again": {losing: 5},
		"takes 64 select clauses in an event filter":   {clauses: 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPlant(t, map[string]any{"tags": 20, "structures": true, "period": 500, "perTick": 2})
			q.before(t, fmt.Sprintf("127.0.0.1:%d", p.options["port"]))
			direct := p.url
			p.url = fmt.Sprintf("opc.tcp://%s", q.listener.Addr())
			mirror := await.FreePort(t)
			tx, rx := mirrorTables(p, mirror, false)
			g := newGateway(t, rough, tx, rx)
			g.Bound = 10 * time.Minute // each of its requests waits
			g.Start()
			g.Ready()
			c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
			c.connect()
			same(t, &it{t: t, url: direct}, c)
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.requests == 0 || (q.lost == 0) != (q.losing == 0) || (q.refused == 0) != (q.clauses == 0) {
				t.Errorf("%d requests passed, %d notifications lost, %d filters refused: the quirk did not show",
					q.requests, q.lost, q.refused)
			}
		})
	}
}
