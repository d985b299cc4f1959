package network

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const valid = "interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"
	for _, c := range []struct{ name, text, fault string }{
		{"smallest", valid, ""},
		{"everything", valid + "hostname = \"a.b-1\"\ngateway = \"10.0.0.1\"\nnameservers = [\"10.0.0.1\", " +
			"\"fd00::1\"]\n", ""},
		{"of a Windows editor", "\uFEFF" + strings.ReplaceAll(valid, "\n", "\r\n"), ""},
		{"UTF-16", "\xFF\xFEi\x00n\x00", "save it as UTF-8"},
		{"unknown key", valid + "dhcp = true\n", "line 3: key \"dhcp\""},
		{"unknown key of a Windows editor", "\uFEFF" + strings.ReplaceAll(valid, "\n", "\r\n") + "dhcp = true\r\n",
			"line 3: key \"dhcp\""},
		{"not TOML", valid + "!\n", "line 3: "},
		{"no interface", "address = \"10.0.0.2/24\"\n", "interface"},
		{"interface as a path", "interface = \"../eth0\"\naddress = \"10.0.0.2/24\"\n", "interface"},
		{"interface by its address", "interface = \"mac:02:00:5e:10:00:01\"\naddress = \"10.0.0.2/24\"\n", ""},
		{"interface by its path", "interface = \"path:platform-fd580000.ethernet\"\naddress = \"10.0.0.2/24\"\n", ""},
		{"interface by a group's address", "interface = \"mac:01:00:5e:00:00:01\"\naddress = \"10.0.0.2/24\"\n",
			"interface \"01:00"},
		{"address without a length", "interface = \"eth0\"\naddress = \"10.0.0.2\"\n", "address"},
		{"dhcp with a gateway", "interface = \"eth0\"\naddress = \"dhcp\"\ngateway = \"10.0.0.1\"\n", "leave them out"},
		{"IPv6", "interface = \"eth0\"\naddress = \"fd00::2/64\"\n", "address"},
		{"gateway elsewhere", valid + "gateway = \"10.0.1.1\"\n", "gateway"},
		{"nameserver by name", valid + "nameservers = [\"dns\"]\n", "nameserver"},
		{"hostname with a line end", valid + "hostname = \"a\\nb\"\n", "hostname"},
		{"larger than any", valid + "# " + strings.Repeat("x", mostBytes) + "\ndhcp = true\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(c.text))
			if c.fault == "" && (err != nil || got.Address.String() != "10.0.0.2/24") {
				t.Errorf("got %v, %v; want 10.0.0.2/24", got, err)
			}
			if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, want a fault with %q", err, c.fault)
			}
		})
	}
}

func TestResolver(t *testing.T) {
	c, err := Parse(strings.NewReader(
		"interface = \"eth0\"\naddress = \"10.0.0.2/24\"\nnameservers = [\"10.0.0.1\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Resolver(), "nameserver 10.0.0.1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextIsReadAgain(t *testing.T) {
	for _, text := range []string{
		"interface = \"eth0\"\naddress = \"dhcp\"\n",
		"interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n",
		"hostname = \"a\"\ninterface = \"eth0\"\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.0.1\"\nnameservers = " +
			"[\"10.0.0.1\", \"fd00::1\"]\n",
	} {
		c, err := Parse(strings.NewReader(text))
		if got := c.Text(); got != text || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
	}
}
