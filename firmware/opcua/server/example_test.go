package server_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/opcua/subscription"
)

// A server with one variable, whose value is set while clients are connected.
func ExampleServer() {
	pressure := rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "pressure"}
	space := addrspace.New()
	nodeClass := binary.LittleEndian.AppendUint32([]byte{1, byte(ua.TypeIDInt32)}, uint32(ua.NodeClassVariable))
	if _, err := space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: addrspace.Node{
		ID: pressure, Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: nodeClass}},
	}}}); err != nil {
		fmt.Println(err)
		return
	}
	s, err := server.New(server.Config{
		Listen: "opc.tcp://127.0.0.1:0", ApplicationURI: "urn:example:mirror", Space: space, Anonymous: true,
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/", "urn:example:plant"})

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	value := func() rawvalue.DataValue {
		raw := s.AppendAttribute(nil, &subscription.Client{}, pressure, ua.AttributeIDValue)
		dv, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		return dv
	}
	fmt.Println("no value yet:", value().Status == ua.StatusBadWaitingForInitialData)
	s.Set(pressure, binary.LittleEndian.AppendUint64([]byte{1, byte(ua.TypeIDDouble)}, math.Float64bits(4.2)))
	fmt.Println("value:", math.Float64frombits(binary.LittleEndian.Uint64(value().Value.Raw[1:])))

	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// no value yet: true
	// value: 4.2
	// ended: <nil>
}
