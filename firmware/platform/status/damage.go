package status

// KindDamaged is of records of the spool whose files are damaged.
const KindDamaged Kind = "damaged"

// damageFacts are those of what sinks lost to damaged files. Most of it is found at the start, so
// that all of the count is of late: it begins with the run.
func damageFacts(s *Snapshot) (list []Fact) {
	for i := range s.Peers {
		p := &s.Peers[i]
		if p.Spool == nil {
			continue
		}
		f := newFact(KindDamaged, Partly, p.Channel, "%s lost: files of the spool are damaged")
		f.Peer, f.id, f.count = p, p.Name, &p.Spool.Damaged
		list = append(list, f)
	}
	return list
}
