package addrspace

// index is an open hash table of numbers, probed linearly; what the numbers stand
// for, and its hash, is the owner's. A slot holds a number plus one, 0 is free.
type index struct {
	slots []uint32
	used  int
}

const smallestIndex = 16 // a power of two

// find returns the number with hash h that same accepts.
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
		x.slots = make([]uint32, max(smallestIndex, 2*len(old)))
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

// remove takes a number out, and moves those behind it up so that no gap hides them.
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
