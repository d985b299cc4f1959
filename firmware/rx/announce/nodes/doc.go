// Package nodes serves the gateway's own state as nodes of OPC UA, on an endpoint of its
// own: what package announce publishes as topics. Below Objects stands the folder
// Heliograph with an object for each topic (trust, link, channel/NAME, board/ROLE), and in
// it a variable for each field of its JSON form. NodeIds are their paths in the namespace
// urn:heliograph:gateway, which has index 2:
//
//	ns=2;s=trust/level                   String: "yes", "partly", "no"
//	ns=2;s=trust/reasons                 String[]: "cell-1: source down: …"
//	ns=2;s=link/frames                   UInt64
//	ns=2;s=channel/cell-1/source_state   String
//
// Text is a String, a count a UInt64 or Int64, a measure a Double, a list of JSON objects an
// array of Strings. A field that is not known has a bad status and no value. Source timestamps
// are those of the change, within a second. Nodes are added, never removed, while it runs.
//
// Nothing of it stands in a mirror, and no node of a source stands here. Of namespace 0 it
// has what clients look for, and no more (namespace0.txt). It refuses all that package
// server refuses: nothing can be written or called.
package nodes
