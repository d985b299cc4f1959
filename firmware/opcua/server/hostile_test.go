package server

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
)

// The library's request with its last bytes taken off, and others in their place.
func instead(t *testing.T, req any, cut int, tail ...[]byte) []byte {
	t.Helper()
	body, err := channel.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	return append(body[:len(body)-cut], bytes.Join(tail, nil)...)
}

func count(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// written is a Write of one value, whose Variant is these bytes.
func written(t *testing.T, token *ua.NodeID, variant ...[]byte) []byte {
	w := &ua.WriteRequest{RequestHeader: header(token),
		NodesToWrite: []*ua.WriteValue{{NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDValue,
			Value: &ua.DataValue{}}}}
	// instead of the DataValue's empty mask
	return instead(t, w, 1, append([][]byte{{ua.DataValueValue}}, variant...)...)
}

// details is a HistoryRead whose details are an ExtensionObject with these bytes.
func details(t *testing.T, token *ua.NodeID, object ...[]byte) []byte {
	body, err := channel.Encode(&ua.ReadRequest{RequestHeader: header(token)}) // the same header
	if err != nil {
		t.Fatal(err)
	}
	const rest = 8 + 4 + 4 // of a ReadRequest without nodes
	head := append([]byte{1, 0}, byte(id.HistoryReadRequest_Encoding_DefaultBinary&0xff),
		byte(id.HistoryReadRequest_Encoding_DefaultBinary>>8))
	return append(append(head, body[4:len(body)-rest]...), bytes.Join(object, nil)...)
}

// Each kills or fattens some stack (published, or found by us in others): here it ends
// with a clean error or a closed connection, costs little, and others are answered.
func TestHostileRequests(t *testing.T) {
	_, url := start(t, nil)
	other, mine := newSession(t, url)
	const deep = 1_900_000
	literal := func(n int) []byte { // an ExtensionObject with a LiteralOperand, n times in one another
		b := []byte{0}
		for range n {
			b = append([]byte{1, 0, byte(id.LiteralOperand_Encoding_DefaultBinary & 0xff),
				byte(id.LiteralOperand_Encoding_DefaultBinary >> 8), 1},
				append(count(uint32(len(b)+1)), append([]byte{byte(ua.TypeIDExtensionObject)}, b...)...)...)
		}
		return b
	}
	for name, attack := range map[string]func(token *ua.NodeID) []byte{
		"nothing":    func(*ua.NodeID) []byte { return nil },
		"no request": func(*ua.NodeID) []byte { return []byte{1, 0, 0xff, 0xff} },
		"a response for a request": func(token *ua.NodeID) []byte {
			return instead(t,
				&ua.ServiceFault{ResponseHeader: &ua.ResponseHeader{ServiceDiagnostics: &ua.DiagnosticInfo{},
					AdditionalHeader: ua.NewExtensionObject(nil)}}, 0)
		},
		"a request cut short": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token, value("taga0")),
				20)
		},
		"a count that lies": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token), 4,
				count(0x7fffffff))
		},
		"a count below none": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token), 4,
				count(math.MaxUint32-1))
		},
		"diagnostics without end": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token), 0, bytes.Repeat([]byte{0x40}, deep))
		},
		"Variants within one another": func(token *ua.NodeID) []byte {
			return written(t, token, bytes.Repeat([]byte{byte(ua.TypeIDVariant)}, deep))
		},
		"arrays of Variants within one another": func(token *ua.NodeID) []byte {
			return written(t, token, bytes.Repeat(append([]byte{byte(ua.TypeIDVariant) | 0x80}, count(1)...), deep/5))
		},
		"DataValues within one another": func(token *ua.NodeID) []byte {
			return written(t, token, bytes.Repeat([]byte{byte(ua.TypeIDDataValue), ua.DataValueValue}, deep/2))
		},
		"an array of more than there is": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDByte) | 0x80}, count(0x7fffffff))
		},
		"an array of less than none": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDDouble) | 0x80}, count(0x80000000))
		},
		"dimensions that overflow": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDByte) | 0xc0}, count(0), count(4), count(0x10000),
				count(0x10000), count(0x10000), count(0x10000))
		},
		"dimensions of one each": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDByte) | 0xc0}, count(1), []byte{7}, count(5000),
				bytes.Repeat(count(1), 5000))
		},
		"dimensions without end": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDByte) | 0xc0}, count(0), count(0x3fffffff))
		},
		"a text longer than the message": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDString)}, count(0x7ffffff0))
		},
		"an array of a million nulls": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDVariant) | 0x80}, count(deep), make([]byte, deep))
		},
		"a million empty objects": func(token *ua.NodeID) []byte {
			return written(t, token, []byte{byte(ua.TypeIDExtensionObject) | 0x80}, count(deep/3), make([]byte, deep))
		},
		"objects within one another": func(token *ua.NodeID) []byte {
			return details(t, token, literal(1000), count(0), []byte{0}, count(0))
		},
		"an object longer than the message": func(token *ua.NodeID) []byte {
			return details(t, token,
				[]byte{1, 0, byte(id.ReadRawModifiedDetails_Encoding_DefaultBinary & 0xff),
					byte(id.ReadRawModifiedDetails_Encoding_DefaultBinary >> 8), 1}, count(0x7fffffff))
		},
		"an object shorter than its structure": func(token *ua.NodeID) []byte {
			return details(t, token,
				[]byte{1, 0, byte(id.ReadRawModifiedDetails_Encoding_DefaultBinary & 0xff),
					byte(id.ReadRawModifiedDetails_Encoding_DefaultBinary >> 8), 1}, count(1), []byte{1},
				make([]byte, 40))
		},
		"a million nodes to read": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token), 4, count(250_000), make([]byte, deep*2))
		},
		"a NodeId of a form that there is not": func(token *ua.NodeID) []byte {
			return instead(t, readRequest(token), 4, count(1), []byte{0x3f}, make([]byte, 30))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, token := newSession(t, url)
			body := attack(token)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ctx := await.Context(t)
			raw, err := c.Do(ctx, body)
			if ctx.Err() != nil {
				t.Error("neither an answer nor an end")
			}
			if err == nil {
				if head, _, err := channel.PeekResponse(raw); err != nil || head.Result == ua.StatusOK {
					t.Errorf("answered with %v, %v; want a fault", head.Result, err)
				}
			}
			runtime.ReadMemStats(&after)
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 64 {
				t.Errorf("%d MB were taken, want at most 64", took)
			}
			answered(t, other, mine)
		})
	}
}

// Before a session is activated messages are small: any host can send them.
func TestLargeRequestsNeedASession(t *testing.T) {
	_, url := start(t, nil)
	other, mine := newSession(t, url)
	long := strings.Repeat("x", smallMessage)
	app := &ua.ApplicationDescription{ApplicationURI: long, ApplicationName: ua.NewLocalizedText("")}
	for name, req := range map[string]any{
		"GetEndpoints": &ua.GetEndpointsRequest{RequestHeader: header(nil), EndpointURL: "opc.tcp://" + long},
		"FindServers":  &ua.FindServersRequest{RequestHeader: header(nil), EndpointURL: "opc.tcp://" + long},
		"CreateSession": &ua.CreateSessionRequest{RequestHeader: header(nil), ClientDescription: app, EndpointURL: long,
			SessionName: long},
		"Read": readRequest(nil,
			&ua.ReadValueID{NodeID: ua.NewStringNodeID(1, long), AttributeID: ua.AttributeIDValue}),
	} {
		t.Run(name, func(t *testing.T) {
			if _, code := ask(t, open(t, url), req); code == ua.StatusOK {
				t.Errorf("%d bytes without a session are answered", len(long))
			}
			answered(t, other, mine)
		})
	}
}

// Bytes that are not OPC UA do not affect other clients.
func TestHostileBytes(t *testing.T) {
	_, url := start(t, nil)
	other, mine := newSession(t, url)
	hello := func(url string) string { // version, buffers, no limits
		b := append(make([]byte, 4), count(65535)...)
		b = append(append(b, count(65535)...), make([]byte, 8)...)
		b = append(append(b, count(uint32(len(url)))...), url...)
		return string(append(append([]byte("HELF"), count(uint32(len(b)+8))...), b...))
	}
	for name, bytes := range map[string]string{
		"not OPC UA":                "GET / HTTP/1.1\r\n\r\n",
		"a hello without end":       "HELF\xff\xff\xff\x7f",
		"a silent one":              "",
		"a message before a hello":  "MSGF\x20\x00\x00\x00aaaaaaaaaaaaaaaaaaaaaaaa",
		"a hello to a long address": hello("opc.tcp://" + strings.Repeat("x", 5000)),
		"a hello to a longer one":   hello("opc.tcp://" + strings.Repeat("x", 60_000)),
		"garbage behind a hello":    hello("opc.tcp://x") + strings.Repeat("\xff", 1000),
		"two hellos":                hello("opc.tcp://x") + hello("opc.tcp://x"),
		"a reverse hello":           "RHEF\x20\x00\x00\x00aaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", strings.TrimPrefix(url, "opc.tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = nc.Write([]byte(bytes))
			answered(t, other, mine)
		})
	}
}
