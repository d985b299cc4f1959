package nodes

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// every is how often the state is looked at.
const every = time.Second

// Server serves the state as a task.
type Server struct {
	server *server.Server
	state  func() map[string]any // of package announce
	log    *slog.Logger
	now    func() time.Time
	nodes  map[string]bool   // that exist, by path
	values map[string][]byte // without their times
}

// New returns a server; of cfg it sets the address space. state returns the parts as
// announce.Parts makes them.
func New(cfg server.Config, state func() map[string]any, log *slog.Logger) (*Server, error) {
	cfg.Space = addrspace.New()
	list, err := base()
	if err != nil {
		return nil, err
	}
	list = append(list, declared{id: own(root), class: ua.NodeClassObject, name: root,
		parent: numeric(id.ObjectsFolder), reference: id.Organizes, definition: id.FolderType})
	for i := range list {
		if _, err := cfg.Space.Apply(list[i].changes()); err != nil {
			return nil, err
		}
	}
	s := &Server{state: state, log: log, now: time.Now, nodes: map[string]bool{}, values: map[string][]byte{}}
	if s.server, err = server.New(cfg); err != nil {
		return nil, err
	}
	s.server.SetNamespaces([]string{"http://opcfoundation.org/UA/", cfg.ApplicationURI, namespaceURI})
	return s, nil
}

// String implements task.Task.
func (s *Server) String() string { return "opcua gateway state" }

// Ready implements task.Task.
func (s *Server) Ready() error { return s.server.Ready() }

// CheckTrust has the server decide again on the certificates of its clients.
func (s *Server) CheckTrust() { s.server.CheckTrust() }

// Clients returns the sessions of the server.
func (s *Server) Clients() (list []sink.Client) {
	for _, c := range s.server.Clients() {
		list = append(list, sink.Client(c))
	}
	return list
}

// Counters implements counter.Source.
func (s *Server) Counters() []counter.Set { return s.server.Counters() }

// Run implements task.Task.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	s.update()
	go func() { ended <- s.server.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- nil
			return err
		case <-tick.C:
			s.update()
		}
	}
}

// update sets what has changed, and adds nodes for what is new.
func (s *Server) update() {
	parts, now := s.state(), s.now()
	var affected []addrspace.Affected
	for _, path := range slices.Sorted(maps.Keys(parts)) {
		affected = append(affected, s.object(path)...)
		for _, f := range fields(parts[path]) {
			affected = append(affected, s.variable(path, f)...)
			s.set(path+"/"+f.name, f.value, now)
		}
	}
	s.server.StructureChanged(affected)
}

// object adds the object of a part, and the folder that it is in.
func (s *Server) object(path string) []addrspace.Affected {
	if s.nodes[path] {
		return nil
	}
	d := declared{id: own(path), class: ua.NodeClassObject, name: path, parent: own(root), reference: id.Organizes,
		definition: id.BaseObjectType}
	folder, name, in := strings.Cut(path, "/")
	if !in {
		return s.add(path, d)
	}
	var affected []addrspace.Affected
	if !s.nodes[folder] {
		affected = s.add(folder, declared{id: own(folder), class: ua.NodeClassObject, name: folder, parent: own(root),
			reference: id.Organizes, definition: id.FolderType})
	}
	d.name, d.parent = name, own(folder)
	return append(affected, s.add(path, d)...)
}

func (s *Server) variable(object string, f field) []addrspace.Affected {
	path := object + "/" + f.name
	if s.nodes[path] {
		return nil
	}
	return s.add(path, declared{id: own(path), class: ua.NodeClassVariable, name: f.name, parent: own(object),
		reference: id.HasComponent, definition: id.BaseDataVariableType, dataType: f.dataType, rank: f.rank})
}

func (s *Server) add(path string, d declared) []addrspace.Affected {
	s.nodes[path] = true
	affected, err := s.server.Space().Apply(d.changes())
	if err != nil {
		s.log.Error("node not added", "component", s.String(), "error", err, "node", path)
	}
	return affected
}

// set sets the value of a variable if it has changed.
func (s *Server) set(path string, value any, now time.Time) {
	var raw []byte
	if value != nil {
		raw = dataValue(value)
	}
	if before, ok := s.values[path]; ok && bytes.Equal(before, raw) || !ok && raw == nil {
		return
	}
	s.values[path] = raw
	if raw == nil {
		s.server.Set(own(path), rawvalue.AppendStatus(nil, ua.StatusBadNoData, rawvalue.Answer{}))
		return
	}
	const sourceTime = 0x04 // of the encoding mask
	timed := append([]byte{raw[0] | sourceTime}, raw[1:]...)
	s.server.Set(own(path), uabinary.AppendDateTime(timed, now))
}
