// Package addrspace holds the address space of an OPC UA server that mirrors another:
// nodes with the attributes and references of the source, found by NodeId, browsed by
// filter, replaced completely or changed one by one.
//
// Attributes are kept as raw DataValues (package rawvalue), Good or Bad; only NodeClass and
// BrowseName are decoded. The references of a node are those that the source returns when
// that node is browsed, in both directions. Each node has its own list: removing a node or a
// reference changes no other node's list, because the source defines each list. So a
// reference may lead to a node that does not exist here, or to another server.
//
// The order of a node's references is the source's (OPC 10000-3 §7.9). Those that
// only moved are reported as deleted and added.
//
// What it refuses to do: services, sessions, sockets, the mirror's own nodes, history
// and change events; it only returns which nodes a change affected (OPC 10000-3 §9.32).
// The values of variables that change often belong elsewhere.
//
// A Space has any number of readers and one writer at a time. Readers see a View for
// as long as their function runs, and must not keep it. A Ref identifies a node
// within one View; across Views keep NodeIds.
//
// In memory a node is one entry in a slice, found through an open hash table of its
// numbers. References are pairs of numbers. The attributes of a node are packed:
//
//	attribute:1, then a number (unsigned varint)
//	  even: number of a shared value, shifted left
//	  odd:  length of a value that follows in place, shifted left
//	        (NodeId, BrowseName and DisplayName; length 0 of the NodeId: its shortest form)
package addrspace
