package uabinary

// MaxMessage is our own choice of the largest message, in bytes of its body, and so of
// the largest value in one, where nothing else is configured.
const MaxMessage = 16 << 20
