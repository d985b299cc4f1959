// Package opcua is a sink that rebuilds an OPC UA server from what crossed the
// link: a mirror that clients cannot tell from the original, except that nothing
// can be changed over it.
//
// One value's way:
//
//	sink.go       waits its turn (Deliver must not block)
//	picture.go    finds its node, or waits for it
//	quality.go    is told as Uncertain while it may be out of date
//	server        is read and subscribed to (package firmware/opcua/server)
//
// # Quality
//
// The worse of what the source said and what is known here counts:
//
//	no value yet, picture not complete    Bad_WaitingForInitialData
//	no value, link silent or source down  Bad_NoCommunication
//	source down or connecting             Uncertain_NoCommunicationLastUsableValue
//	link silent, or a loss that the       Uncertain_LastUsableValue
//	carousel has not made good yet
//
// Meanwhile ServerState is CommunicationFault. Source timestamps never change. Values that
// describe instead of reporting (describe.go) keep the source's own status, and are kept on
// disk with the structure: without them a client that connects meanwhile can read nothing.
//
// # Account
//
// What no client will see is moved from delivered to refused: records that came faster
// than the mirror takes them, that are malformed, or whose table or namespaces are not
// there.
//
// # Generations
//
// When the source's namespace table changes otherwise than by growing, another
// generation begins: the mirror goes on with the old one until the new one is
// complete, then closes all sessions, swaps, and takes clients again.
//
// The package refuses to interpret values, and to let any client's request have
// an effect on anything but that client.
package opcua
