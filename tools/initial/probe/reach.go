package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/platform/cause"
)

// unreachable says what to check where an address does not answer as a server does. Other errors
// it returns as they are.
func unreachable(address, server string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return cause.With(cause.Of(err), fmt.Errorf("connecting to %s: no address of host %s is found: check the "+
			"name, "+
			"or write an address", address, dns.Name))
	}
	for _, c := range []struct {
		is    []error
		words string
	}{
		{[]error{syscall.ECONNREFUSED}, "connection refused: is the %s running, and is the port its own?"},
		{[]error{syscall.EHOSTUNREACH, syscall.ENETUNREACH}, "no route to it: check the address of the %s, and this " +
			"machine's network"},
		{[]error{context.DeadlineExceeded, os.ErrDeadlineExceeded}, "no answer in time: check address and port of " +
			"the %s, and the firewalls between"},
		{[]error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, ua.StatusBadTCPMessageTypeInvalid,
			ua.StatusBadTCPMessageTooLarge}, "what answers there does not use its protocol: is it the %s? check the " +
			"port"},
	} {
		for _, one := range c.is {
			if errors.Is(err, one) {
				return cause.With(cause.Of(err), fmt.Errorf("connecting to %s: "+c.words, address, server))
			}
		}
	}
	return err
}
