package linktest

import "math/bits"

// random is xoshiro256** (Blackman, Vigna), seeded by splitmix64: its numbers
// are part of what "same seed, same damage" promises, so they are ours.
type random struct{ s [4]uint64 }

func (r *random) seed(seed, stream uint64) {
	z := seed ^ stream*0xd1342543de82ef95
	for i := range r.s {
		z += 0x9e3779b97f4a7c15
		x := z
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		r.s[i] = x ^ x>>31
	}
}

func (r *random) next() uint64 {
	s := &r.s
	result := bits.RotateLeft64(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return result
}

// fraction returns a number from 0 up to, not including, 1.
func (r *random) fraction() float64 { return float64(r.next()>>11) / (1 << 53) }

// below returns a number from 0 to n-1.
func (r *random) below(n int) int {
	high, _ := bits.Mul64(r.next(), uint64(n))
	return int(high)
}
