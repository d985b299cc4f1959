package event

import "unicode/utf8"

// matchLike matches a text with a pattern of the Like operator (OPC 10000-4 §7.7.3):
// % is any text, _ any character, [] one of a list, [^] none of it, \ escapes. A text that
// resembles the pattern takes the product of their lengths: work is the number of bytes of the
// pattern that may still be compared, and without any left nothing matches.
func matchLike(s, p []byte, work *int) bool {
	var star, back []byte // behind the last %, and where it is tried next
	for {
		if len(p) > 0 && p[0] == '%' {
			p = p[1:]
			star, back = p, s
			*work--
			continue
		}
		if len(s) == 0 { // from a later character there is even less text
			return len(p) == 0
		}
		if *work <= 0 {
			return false
		}
		if len(p) > 0 {
			r, n := utf8.DecodeRune(s)
			ok, rest := matchCharacter(r, p)
			*work -= len(p) - len(rest)
			if ok {
				s, p = s[n:], rest
				continue
			}
		}
		if star == nil || len(back) == 0 {
			return false
		}
		_, n := utf8.DecodeRune(back)
		back = back[n:]
		s, p = back, star
	}
}

// matchCharacter matches a character with the head of a pattern.
func matchCharacter(r rune, p []byte) (bool, []byte) {
	c, n := utf8.DecodeRune(p)
	switch {
	case c == '_':
		return true, p[n:]
	case c == '\\' && len(p) > n:
		c, m := utf8.DecodeRune(p[n:])
		return r == c, p[n+m:]
	case c == '[':
		return matchList(r, p[n:])
	}
	return r == c, p[n:]
}

func matchList(r rune, p []byte) (bool, []byte) {
	not := len(p) > 0 && p[0] == '^'
	if not {
		p = p[1:]
	}
	found, last := false, rune(-1)
	for len(p) > 0 {
		c, n := utf8.DecodeRune(p)
		p = p[n:]
		switch {
		case c == ']':
			return found != not, p
		case c == '-' && last >= 0 && len(p) > 0 && p[0] != ']':
			c, n = utf8.DecodeRune(p)
			p = p[n:]
			found = found || last <= r && r <= c
		case c == '\\' && len(p) > 0:
			c, n = utf8.DecodeRune(p)
			p = p[n:]
			found = found || r == c
		default:
			found = found || r == c
		}
		last = c
	}
	return false, nil
}
