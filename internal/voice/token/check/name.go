package check

import (
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"dialtone/internal/voice/token"
)

// atoms are what names hold beside letters and digits. Each reaches another place
// of the alphabet or of a reader: '?' is '_' and '>' and '~' are '-' as the 4th
// character of a group; characters beyond ASCII reach the 2nd and 3rd, too.
var atoms = []string{
	"?", ">", "~", "-", "_", "?", ">", "~", "-", "_", // the ones of the outage, twice as often
	"+", "%", "%2B", " ", `"`, `\`, "/", "&", "=", "'", ".", "@", "<", ":", ";", "#", "*", "(",
	"é", "ß", "ñ", "π", "ж", "日本", "本", "！", "ﬀ", "€", "\u2028", "😀", "🦊", "𝒜", "e\u0301", "o日", "oé", "?é", "s日", "k🦊", "oπ", "s😀", "c🦊", "7日", "3！",
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

// name draws an identity that begins with prefix.
func name(r *rand.Rand, prefix string) string {
	var b strings.Builder
	b.WriteString(prefix)
	room := token.MaxIdentity - utf8.RuneCountInString(prefix)
	add := func(s string) {
		if n := utf8.RuneCountInString(s); n <= room {
			b.WriteString(s)
			room -= n
		}
	}
	plain := func(n int) {
		for range n {
			i := r.IntN(len(letters))
			c := letters[i : i+1]
			if r.IntN(12) == 0 {
				c = strings.ToUpper(c)
			}
			add(c)
		}
	}
	specials, rest := 0, 9
	switch p := r.IntN(100); {
	case p < 25:
		rest = 24
	case p < 60:
		specials = 1
	case p < 85:
		specials = 2 + r.IntN(3)
	case p < 95:
		specials = 5 + r.IntN(8)
	default:
		specials, rest = r.IntN(3), token.MaxIdentity
	}
	plain(r.IntN(3))
	for range specials {
		add(atoms[r.IntN(len(atoms))])
		plain(r.IntN(4))
	}
	plain(r.IntN(rest))
	if rest == token.MaxIdentity && r.IntN(2) == 0 {
		plain(room) // as long as a name may be
	}
	if b.Len() == 0 {
		plain(1)
	}
	return b.String()
}
