package main

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// networking uses the TCP port of loopback that the test names.
func networking() map[string]attempt {
	stream := func(protocol int, use func(fd int, to *unix.SockaddrInet4) error) attempt {
		return func() ([]byte, error) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocol)
			if err != nil {
				return nil, err
			}
			return nil, use(fd, &unix.SockaddrInet4{Port: number(2), Addr: [4]byte{127, 0, 0, 1}})
		}
	}
	connect := func(fd int, to *unix.SockaddrInet4) error { return unix.Connect(fd, to) }
	bind := func(fd int, to *unix.SockaddrInet4) error { return unix.Bind(fd, to) }
	return map[string]attempt{
		"connect":                    stream(0, connect),
		"connect over Multipath TCP": stream(unix.IPPROTO_MPTCP, connect),
		"connect by Fast Open": stream(0, func(fd int, to *unix.SockaddrInet4) error {
			return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to)
		}),
		"bind": stream(0, bind),
		"listen over both IPv4 and IPv6": func() ([]byte, error) {
			if _, err := net.Listen("tcp", "[::]:"+argument(2)); err != nil {
				return nil, err
			}
			_, four := net.Dial("tcp", "127.0.0.1:"+argument(2))
			_, six := net.Dial("tcp", "[::1]:"+argument(2))
			return nil, errors.Join(four, six)
		},
		"bind over Multipath TCP": stream(unix.IPPROTO_MPTCP, bind),
	}
}
