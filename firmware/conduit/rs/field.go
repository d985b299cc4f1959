package rs

const reduction = 0x11D // x^8+x^4+x^3+x^2+1

type field struct {
	exp  [2 * MaxWord]byte // doubled, so that a sum of two logarithms needs no modulo
	log  [256]byte
	rows [256][2]uint64 // feedback byte × generator, highest power first
}

var tables = makeField()

func makeField() *field {
	f := new(field)
	x := 1
	for i := range MaxWord {
		f.exp[i], f.exp[i+MaxWord], f.log[x] = byte(x), byte(x), byte(i)
		if x <<= 1; x > 255 {
			x ^= reduction
		}
	}
	times := func(a, b byte) byte {
		if a == 0 || b == 0 {
			return 0
		}
		return f.exp[int(f.log[a])+int(f.log[b])]
	}
	g := [Parity + 1]byte{1} // lowest power first
	for i := range Parity {
		for j := i + 1; j > 0; j-- {
			g[j] = g[j-1] ^ times(g[j], f.exp[i])
		}
		g[0] = times(g[0], f.exp[i])
	}
	for b := range 256 {
		for j := range 8 {
			f.rows[b][0] = f.rows[b][0]<<8 | uint64(times(byte(b), g[15-j]))
			f.rows[b][1] = f.rows[b][1]<<8 | uint64(times(byte(b), g[7-j]))
		}
	}
	return f
}

func mul(a, b byte) byte {
	if a == 0 || b == 0 {
		return 0
	}
	return tables.exp[int(tables.log[a])+int(tables.log[b])]
}

func inv(a byte) byte { return tables.exp[MaxWord-int(tables.log[a])] }
