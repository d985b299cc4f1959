package decode_test

import (
	"fmt"

	"heliograph/firmware/conduit/wire"
	"heliograph/tools/decode"
)

// Without the pair key a frame is read as far as it is in the clear.
func ExampleDecoder_Frame() {
	hello := make([]byte, wire.MinHello-wire.CRCSize, wire.MinHello)
	header := wire.HelloHeader{Session: 0x664b, Epoch: 7, Sequence: 3}
	header.Put(hello)
	hello = wire.AppendCRC(hello)

	d := decode.New(nil)
	f := d.Frame(hello)
	fmt.Println(f.Kind, f.Session, f.Sequence, *f.Epoch, f.CRC)
	hello[10] ^= 1 // damaged on the way
	fmt.Println(d.Frame(hello).CRC)
	// Output:
	// hello 664b 3 7 ok
	// bad
}
