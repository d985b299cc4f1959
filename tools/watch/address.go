// Package watch shows how many pairs stand: it reads /status.json of their boards, of
// this version or an older one, and judges each.
//
//	address.go  where a board is
//	get.go      one answer of a board
//	status.go   what of it is read, and what it means where the board does not say so
//	watcher.go  all boards, each asked by itself
//	row.go      what is shown of a board, and its JSON form
//	screen.go   the terminal's screen: table.go and detail.go draw it
//
// Boards are not trusted: an answer is bounded in time and size, what it says is shown
// without control characters, and a password goes to an address that names a user alone.
// It refuses to write anything to a board, and to follow a redirect.
package watch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// defaultPort is that of the status server in the reference configuration of heliotx.
const defaultPort = "9464"

const statusPath = "/status.json"

// Address is where the status server of a board is.
type Address struct {
	Name string // as it was written, without the user
	User string // "": the board asks for none
	url  string // of its status
	host string // that its certificate is for
}

// ParseAddress reads HOST, HOST:PORT, or a URL such as https://ann@rx-1:9464.
func ParseAddress(s string) (Address, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() {
		return Address{}, fmt.Errorf("%q: write an IPv6 address in brackets: [%s]:%s", s, s, defaultPort)
	}
	full := s
	if !strings.Contains(s, "://") {
		full = "http://" + s
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return Address{}, fmt.Errorf("%q is not an address: write rx-1:9464, or https://ann@rx-1:9464", s)
	case u.Scheme != "http" && u.Scheme != "https":
		return Address{}, fmt.Errorf("%q: %s:// is not known: write http:// or https://", s, u.Scheme)
	case u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return Address{}, fmt.Errorf("%q is not an address: write host and port alone, as in rx-1:9464", s)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Address{}, fmt.Errorf("%q: port %s must be 1 to 65535", s, port)
		}
	}
	if _, given := u.User.Password(); given {
		return Address{}, errors.New("a password in an address can be read by all on this computer: leave it out, " +
			"and give --password-file or HELIOGRAPH_PASSWORD")
	}
	a := Address{Name: u.Host, User: u.User.Username(), host: u.Hostname()}
	if u.Scheme == "https" {
		a.Name = "https://" + u.Host
	}
	if full != s && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), defaultPort)
	}
	u.User, u.Path = nil, statusPath
	a.url = u.String()
	return a, nil
}
