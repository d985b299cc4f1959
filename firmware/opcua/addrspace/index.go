package addrspace

// index is an open hash table of numbers with linear probing; the owner defines what the
// numbers stand for, and their hashes. A slot holds a number plus one, 0 is free.
type index struct {
	slots []uint32
	used  int
}

const minIndex = 16 // a power of two

// find returns the number with hash h for which same is true.
func (x *index) find(h uint64, same func(uint32) bool) (uint32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(x.slots) - 1)
	for i := h & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if n := x.slots[i] - 1; same(n) {
			return n, true
		}
	}
	return 0, false
}

// insert adds a number that is not in the table.
func (x *index) insert(n uint32, hash func(uint32) uint64) {
	if (x.used+1)*4 > len(x.slots)*3 {
		old := x.slots
		x.slots = make([]uint32, max(minIndex, 2*len(old)))
		for _, s := range old {
			if s != 0 {
				x.place(s, hash(s-1))
			}
		}
	}
	x.used++
	x.place(n+1, hash(n))
}

func (x *index) place(s uint32, h uint64) {
	mask := uint64(len(x.slots) - 1)
	i := h & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// remove removes a number, and moves up those after it so that a lookup finds them.
func (x *index) remove(n uint32, hash func(uint32) uint64) {
	mask := uint64(len(x.slots) - 1)
	i := hash(n) & mask
	for x.slots[i] != n+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.slots[j] != 0; j = (j + 1) & mask {
		if home := hash(x.slots[j]-1) & mask; (j-home)&mask >= (j-i)&mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
	x.used--
}
