package plant

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/tools/plant/nodeset"
)

// Server is a simulated OPC UA server: namespace 0 and a press line with tags.
type Server struct {
	Endpoint string
	tags     int
	server   *server.Server
	stop     context.CancelFunc
	done     chan error
	sent     atomic.Uint64
	newest   []atomic.Int64 // Unix milliseconds of each tag's value
}

// Tag returns the NodeId of a server's nth tag.
func Tag(n int) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: fmt.Sprintf("Line.Tag%d", n)}
}

// Reading is what a tag reads at a time, to the millisecond: the one who gets a value with
// its source timestamp can tell whether it was altered.
func Reading(tag int, at time.Time) float64 {
	return math.Round(100*(50+40*math.Sin(float64(tag)+float64(at.UnixMilli()%1e6)/3000))) / 100
}

// Began is the source timestamp of the values that tags have before their first change.
func Began() time.Time { return time.Unix(1, 0) }

// NewServer starts a server with so many tags on a port of loopback.
func NewServer(tags int) (*Server, error) { return NewServerAt("127.0.0.1:0", tags) }

// NewServerAt starts one on an address.
func NewServerAt(address string, tags int) (*Server, error) {
	space, set, err := line(tags)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("plant: %w", err)
	}
	endpoint := "opc.tcp://" + l.Addr().String()
	_ = l.Close() // the server listens there itself
	srv, err := server.New(server.Config{
		Listen: endpoint, ApplicationURI: "urn:heliograph:plant", ApplicationName: "Simulated press line",
		Anonymous: true, Space: space,
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
		Refusal:  "the simulated plant can only be looked at",
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("plant: %v", err)
	}
	s := &Server{Endpoint: endpoint, tags: tags, server: srv, done: make(chan error, 1),
		newest: make([]atomic.Int64, tags)}
	for node, v := range set.Values {
		srv.Set(node, v)
	}
	srv.Set(rawvalue.NodeID{Number: id.Server_NamespaceArray},
		nodeset.DataValue(ua.MustVariant([]string{"http://opcfoundation.org/UA/", "urn:heliograph:plant"})))
	for i := range tags {
		srv.Set(Tag(i), reading(i, Began()))
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- srv.Run(ctx) }()
	return s, nil
}

// line is namespace 0 with a folder of tags.
func line(tags int) (*addrspace.Space, *nodeset.Set, error) {
	set, err := nodeset.Base()
	if err != nil {
		return nil, nil, err
	}
	objects, folder := rawvalue.NodeID{Number: id.ObjectsFolder},
		rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "Line"}
	name := func(s string) *ua.QualifiedName { return &ua.QualifiedName{NamespaceIndex: 1, Name: s} }
	f := nodeset.NewNode(folder, ua.NodeClassObject, name("Line"), ua.NewLocalizedText("Press line"))
	f.Attribute(ua.AttributeIDEventNotifier, byte(0))
	f.Reference(id.HasTypeDefinition, rawvalue.NodeID{Number: id.FolderType}, false).Reference(id.Organizes, objects,
		true)
	for i := range tags {
		b := nodeset.NewNode(Tag(i), ua.NodeClassVariable, name(fmt.Sprintf("Tag%d", i)),
			ua.NewLocalizedText(fmt.Sprintf("Tag %d", i)))
		b.Attribute(ua.AttributeIDDataType, ua.NewNumericNodeID(0, id.Double)).Attribute(ua.AttributeIDValueRank,
			int32(-1))
		b.Attribute(ua.AttributeIDAccessLevel, byte(1)).Attribute(ua.AttributeIDUserAccessLevel,
			byte(1)).Attribute(ua.AttributeIDHistorizing, false)
		b.Reference(id.HasTypeDefinition, rawvalue.NodeID{Number: id.BaseDataVariableType},
			false).Reference(id.HasComponent, folder, true)
		set.Nodes = append(set.Nodes, b.Node)
		f.Reference(id.HasComponent, Tag(i), false)
	}
	set.Nodes = append(set.Nodes, f.Node)
	space := addrspace.New()
	err = space.Replace(func(yield func(addrspace.Node) bool) {
		for _, n := range set.Nodes {
			if n.ID == objects {
				n.References = append(n.References,
					addrspace.Reference{Type: rawvalue.NodeID{Number: id.Organizes}, Target: folder})
			}
			if !yield(n) {
				return
			}
		}
	})
	return space, set, err
}

// reading is the DataValue of a tag's value at a time.
func reading(tag int, at time.Time) []byte {
	const valueAndSourceTime = 0x05
	b := binary.LittleEndian.AppendUint64([]byte{valueAndSourceTime, byte(ua.TypeIDDouble)},
		math.Float64bits(Reading(tag, at)))
	return uabinary.AppendDateTime(b, at.Truncate(time.Millisecond))
}

// Sent returns how many changes there were.
func (s *Server) Sent() uint64 { return s.sent.Load() }

// Newest returns the source timestamp of a tag's value; false before its first change.
func (s *Server) Newest(tag int) (at time.Time, changed bool) {
	ms := s.newest[tag].Load()
	return time.UnixMilli(ms), ms != 0
}

// change gives the next tag a new value.
func (s *Server) change(at time.Time) error {
	n := s.sent.Load()
	tag := int(n % uint64(s.tags))
	s.server.Set(Tag(tag), reading(tag, at))
	s.newest[tag].Store(at.UnixMilli())
	s.sent.Store(n + 1)
	return nil
}

// Change gives so many tags, one after the other, the value of a time.
func (s *Server) Change(n int, at time.Time) {
	for range n {
		_ = s.change(at) // never fails
	}
}

// Close ends the server.
func (s *Server) Close() error {
	s.stop()
	return <-s.done
}
