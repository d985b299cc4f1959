package boards

// pc is any Linux machine: the configuration names its devices.
func pc() Board { return Board{Name: "pc"} }
