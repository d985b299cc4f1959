package client_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
)

// collector is a Handler that passes values on.
type collector chan float64

func (p collector) Data(_ uint32, dv rawvalue.DataValue) { p <- double(dv) }
func (collector) Events(uint32, [][]byte)                {}
func (collector) Status(ua.StatusCode)                   {}
func (collector) Lost(int)                               {}
func (collector) Fault(uint32, int, error)               {}

func double(dv rawvalue.DataValue) float64 {
	if dv.Value.Type() != ua.TypeIDDouble {
		return math.NaN()
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Elements()))
}

// A session that reads a variable, and then follows it.
func ExampleConnect() {
	pressure := rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "pressure"}
	plant, endpoint, stop := runPlant(pressure)
	defer stop()
	plant.Set(pressure, encodeDouble(4.2))

	ctx := context.Background()
	session, err := client.Connect(ctx, client.Config{Endpoint: endpoint, Policy: "None"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()

	items := []client.ReadItem{{Node: pressure, Attribute: ua.AttributeIDValue}}
	err = session.Read(ctx, items, 0, func(_ int, dv rawvalue.DataValue) {
		fmt.Println("read:", double(dv))
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	values := make(collector, 10)
	sub, err := session.Subscribe(ctx, client.SubscriptionConfig{Interval: 50 * time.Millisecond, KeepAlive: 20},
		values)
	if err != nil {
		fmt.Println(err)
		return
	}
	monitored := []client.Item{{Node: pressure, Attribute: ua.AttributeIDValue, Handle: 1, Queue: 10}}
	err = sub.Monitor(ctx, monitored, func(_ int, status ua.StatusCode, _ client.Revised) {
		fmt.Println("monitored:", status == ua.StatusOK)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("notified:", <-values)
	plant.Set(pressure, encodeDouble(4.3))
	fmt.Println("notified:", <-values)
	// Output:
	// read: 4.2
	// monitored: true
	// notified: 4.2
	// notified: 4.3
}

// runPlant runs a server with one variable, besides its NamespaceArray.
func runPlant(variable rawvalue.NodeID) (s *server.Server, endpoint string, stop func()) {
	space := addrspace.New()
	class := binary.LittleEndian.AppendUint32([]byte{1, byte(ua.TypeIDInt32)}, uint32(ua.NodeClassVariable))
	var changes []addrspace.Change
	for _, node := range []rawvalue.NodeID{variable, {Number: id.Server_NamespaceArray}} {
		changes = append(changes, addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{
			ID: node, Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: class}},
		}})
	}
	if _, err := space.Apply(changes); err != nil {
		panic(err)
	}
	s, err := server.New(server.Config{
		Listen: "opc.tcp://127.0.0.1:0", ApplicationURI: "urn:example:plant", Space: space, Anonymous: true,
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
	})
	if err != nil {
		panic(err)
	}
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/", "urn:example:plant"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for s.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	return s, "opc.tcp://" + s.Addr().String(), func() { cancel(); <-ended }
}

func encodeDouble(f float64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{1, byte(ua.TypeIDDouble)}, math.Float64bits(f))
}
