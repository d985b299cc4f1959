// Package wireshark holds a Wireshark dissector for the frames of the link, in Lua.
//
// It shows what stands outside the seal: the header of each frame, in the format that
// package wire draws, and whether the CRC is right. It refuses to open the seal, for
// which Wireshark's Lua has no key derivation: `heliograph decode --key` does that.
//
// README.md says how to install it and lists its display filters.
package wireshark

import _ "embed"

// Dissector is the text of the Lua script.
//
//go:embed heliograph.lua
var Dissector string
