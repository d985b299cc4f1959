package console

import (
	"cmp"
	"fmt"
)

// dhcp is the address of a board that gets one from a server, see package network.
const dhcp = "dhcp"

// field is a question of the network dialogue.
type field struct {
	name string
	of   func(*Network) *string
}

func fields() []field {
	return []field{
		{"hostname", func(n *Network) *string { return &n.Hostname }},
		{"interface", func(n *Network) *string { return &n.Interface }},
		{"address/bits, or dhcp", func(n *Network) *string { return &n.Address }},
		{"gateway", func(n *Network) *string { return &n.Gateway }},
		{"nameservers", func(n *Network) *string { return &n.Nameservers }},
	}
}

// fieldAddress is the place of the address in fields.
const fieldAddress = 2

// network asks for each field in turn.
func (c *Console) network() {
	n := c.board.Network()
	if c.typed != nil {
		n = *c.typed
	}
	c.say("Network. Enter keeps what is there, a minus sign empties it, ESC leaves everything as it is.")
	c.askField(n, 0)
}

// askField asks for one field until its answer can be used, with the answers before it.
func (c *Console) askField(n Network, i int) {
	list := fields()
	if i == len(list) || i > fieldAddress && n.Address == dhcp {
		c.setNetwork(n)
		return
	}
	c.read(fmt.Sprintf("%s [%s]: ", list[i].name, *list[i].of(&n)), func(typed string) {
		answered := n
		switch typed {
		case "":
		case "-":
			*list[i].of(&answered) = ""
		default:
			*list[i].of(&answered) = typed
		}
		if answered.Address == dhcp {
			answered.Gateway, answered.Nameservers = "", ""
		}
		if err := c.board.CheckNetwork(soFar(answered, i)); err != nil {
			c.say(err.Error())
			c.askField(n, i)
			return
		}
		c.askField(answered, i+1)
	})
}

// soFar returns the answers up to a field, and for the rest what is always right.
func soFar(n Network, i int) Network {
	if i < fieldAddress-1 {
		n.Interface = cmp.Or(n.Interface, "eth0")
	}
	if i < fieldAddress {
		n.Address = dhcp
	}
	if i < fieldAddress+1 {
		n.Gateway = ""
	}
	if i < fieldAddress+2 {
		n.Nameservers = ""
	}
	return n
}

func (c *Console) setNetwork(n Network) {
	c.typed = nil
	what := fmt.Sprintf("Set %s on %s, gateway %s, nameservers %s, and restart?", n.Address, n.Interface, or(n.Gateway),
		or(n.Nameservers))
	if n.Address == dhcp {
		what = fmt.Sprintf("Set %s on %s, and restart?", n.Address, n.Interface)
	}
	c.ask(what, func() {
		if err := c.board.SetNetwork(n); err != nil {
			c.typed = &n
			c.say(err.Error() + "\nKey n goes on with what was typed.")
			return
		}
		c.board.Restart()
	})
}
