package config

import _ "embed"

var (
	//go:embed reference-tx.toml
	referenceTX string
	//go:embed minimal-tx.toml
	minimalTX string
	//go:embed reference-rx.toml
	referenceRX string
	//go:embed minimal-rx.toml
	minimalRX string
)

// ReferenceTX returns a file that documents every key of the plant side.
func ReferenceTX() string { return referenceTX }

// MinimalTX returns the shortest useful file of the plant side.
func MinimalTX() string { return minimalTX }

// ReferenceRX returns a file that documents every key of the IT side.
func ReferenceRX() string { return referenceRX }

// MinimalRX returns the shortest useful file of the IT side.
func MinimalRX() string { return minimalRX }
