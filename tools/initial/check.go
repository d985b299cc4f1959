package initial

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"heliograph/firmware/config"
)

// The checks of answers are those that say early, and in words of the question, what package
// config would refuse; it has the last word.

func checkName(_ Answers, s string) error {
	letter := func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	other := func(c rune) bool { return !letter(c) && !strings.ContainsRune("-_.", c) }
	if len(s) > 64 || !letter(rune(s[0])) || strings.ContainsFunc(s, other) || s == "heliograph" {
		return errors.New(`start with a letter or digit, and use at most 64 letters, digits, "-", "_" and "."; ` +
			`"heliograph" is taken`)
	}
	return nil
}

// checkFile checks the name of a configuration.
func checkFile(_ Answers, s string) error {
	if filepath.Ext(s) != ".toml" || filepath.Base(s) == ".toml" {
		return errors.New("write a name that ends in .toml")
	}
	return nil
}

// checkURL checks scheme://host:port; the port may be left out.
func checkURL(example string, schemes ...string) func(Answers, string) error {
	return func(_ Answers, s string) error {
		u, err := url.Parse(s)
		path := err == nil && u.Path != "" && u.Path != "/" && u.Scheme != "opc.tcp"
		if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.User != nil || path ||
			u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(u.Hostname(), " /@\"'") {
			return fmt.Errorf("write an address such as %s", example)
		}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
			return fmt.Errorf("the port must be a number from 1 to 65535, as in %s", example)
		}
		return nil
	}
}

// checkPeer checks the address of a server, broker or collector, which is not on the board.
func checkPeer(example string, schemes ...string) func(Answers, string) error {
	valid := checkURL(example, schemes...)
	return func(a Answers, s string) error {
		if err := valid(a, s); err != nil || !a.onBoard() || !isLoopback(hostOf(s)) {
			return err
		}
		if at := a.board().Network.Emulator; at != "" {
			return fmt.Errorf("that is the board itself: an emulated one reaches this machine at %s", at)
		}
		return fmt.Errorf("that is the board itself: write an address such as %s", example)
	}
}

func checkURLs(example string, schemes ...string) func(Answers, string) error {
	one := checkURL(example, schemes...)
	return func(a Answers, s string) error {
		for _, part := range list(s) {
			if err := one(a, part); err != nil {
				return err
			}
		}
		return nil
	}
}

// checkHostPort checks host:port.
func checkHostPort(example string) func(Answers, string) error {
	return func(_ Answers, s string) error {
		h, port, err := net.SplitHostPort(s)
		n, wrong := strconv.ParseUint(port, 10, 16)
		if err != nil || h == "" || strings.ContainsAny(h, " /@\"'") || wrong != nil || n == 0 {
			return fmt.Errorf("write an address and a port, such as %s", example)
		}
		return nil
	}
}

// checkLink checks where the transmitter sends to.
func checkLink(a Answers, s string) error {
	const example = "10.0.0.3:17000"
	if err := checkHostPort(example)(a, s); err != nil {
		return err
	}
	ip, err := netip.ParseAddr(hostOf(s))
	switch {
	case err == nil && ip.IsUnspecified():
		return fmt.Errorf("TX cannot send to that: write RX's own address, such as %s", example)
	case a.onBoard() && isLoopback(hostOf(s)):
		return fmt.Errorf("that is the board itself: write RX's own address, such as %s", example)
	}
	return nil
}

func checkStatus(a Answers, s string) error {
	return checkHostPort("127.0.0.1:9464")(a, strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"))
}

func checkBaud(a Answers, s string) error {
	most := 4_000_000
	if b := a.board(); b.Link.Fastest > 0 {
		most = b.Link.Fastest
	}
	if n, err := strconv.Atoi(s); err != nil || n < 9600 || n > most {
		return fmt.Errorf("write a number from 9600 to %d", most)
	}
	return nil
}

func checkRate(_ Answers, s string) error {
	_, err := config.ParseRate(s)
	return err
}

func checkShare(_ Answers, s string) error {
	_, err := config.ParsePercent(s)
	return err
}

// checkNumber checks a number with one of some units.
func checkNumber(example string, units ...string) func(Answers, string) error {
	return func(_ Answers, s string) error {
		number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/%")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n <= 0 || !slices.Contains(units, strings.TrimPrefix(s, number)) {
			return fmt.Errorf("write a number with its unit, such as %s (%s)", example, strings.Join(units, ", "))
		}
		return nil
	}
}

func checkDevice(_ Answers, s string) error {
	if !strings.HasPrefix(s, "/dev/") {
		return errors.New("write the path of the serial port, such as /dev/ttyUSB0")
	}
	return nil
}

func isLoopback(h string) bool {
	ip, err := netip.ParseAddr(h)
	return h == "localhost" || err == nil && ip.IsLoopback()
}

// hostOf returns the host of "host:port" or of a URL.
func hostOf(s string) string {
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return u.Hostname()
	}
	h, _, _ := net.SplitHostPort(s)
	return h
}

// portOf returns the port of a URL, or the given one.
func portOf(s, otherwise string) string {
	if u, err := url.Parse(s); err == nil && u.Port() != "" {
		return u.Port()
	}
	return otherwise
}
