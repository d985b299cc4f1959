// Package addrspace holds the address space of an OPC UA server that mirrors another:
// nodes with their attributes and references as the source gave them, found by
// NodeId, browsed by filter, replaced as a whole or changed bit by bit.
//
// Attributes are kept as raw DataValues (package rawvalue), so that a Bad one is told
// as truly as a Good one; only NodeClass and BrowseName are ever looked into. The
// references of a node are those that the source lists when that node is browsed, in
// both directions. A list is a node's own: taking away a node or a reference changes
// no other node's list, because the source says for each node what it lists. So a
// reference may lead to a node that does not exist here, or to another server.
//
// The order of a node's references is the source's (OPC 10000-3 §7.9). Those that only
// changed places are told as deleted and added.
//
// What it refuses to do: services, sessions, sockets, the mirror's own nodes, history
// and change events; it only says which nodes a change affected (OPC 10000-3 §9.32).
// The values of variables that change often belong elsewhere.
//
// A Space has any number of readers and one writer at a time. Readers see a View for
// as long as their function runs, and must not keep it. A Ref names a node within
// one View; keep NodeIds across Views.
//
// In memory a node is one entry in a slice, found through an open hash table of its
// numbers. References are pairs of numbers. The attributes of a node are packed:
//
//	attribute:1, then a number (unsigned varint)
//	  even: number of a shared value, shifted left
//	  odd:  length of a value that follows in place, shifted left
//	        (NodeId, BrowseName and DisplayName; length 0 of the NodeId: its shortest form)
package addrspace
