package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPortsAreThoseOfTheConfiguration(t *testing.T) {
	tx := TX{
		Status: Status{Listen: "10.0.0.2:9464", UpdateListen: "[::1]:9465"},
		OPCUA:  []OPCUASource{{Endpoint: "opc.tcp://10.0.0.5:4841/path"}, {Endpoint: "opc.tcp://plc:4841"}},
		MQTT:   []MQTTSource{{Broker: "mqtts://10.0.0.6:8883"}},
		Syslog: []SyslogSource{{Listen: []string{"udp://0.0.0.0:514", "tcp://0.0.0.0:601", "tls://[::]:6514"}}},
	}
	if got, want := tx.Ports(), (Ports{[]uint16{601, 6514, 9464, 9465},
		[]uint16{53, 4841, 8883}}); !reflect.DeepEqual(got, want) {
		t.Errorf("TX: got %v, want %v", got, want)
	}
	rx := RX{
		Audit:  SyslogSink{Forward: "tls://siem:6514"},
		OPCUA:  []OPCUASink{{Listen: "opc.tcp://0.0.0.0:4840"}},
		MQTT:   []MQTTSink{{Broker: "mqtt://it:1883"}, {Listen: "mqtt://0.0.0.0:1884"}},
		Syslog: []SyslogSink{{Forward: "udp://siem:514"}, {Forward: "tcp://siem:601"}},
	}
	if got, want := rx.Ports(), (Ports{[]uint16{1884, 4840}, []uint16{53, 601, 1883, 6514}}); !reflect.DeepEqual(got,
		want) {
		t.Errorf("RX: got %v, want %v", got, want)
	}
}

// TestNoAddressIsForgotten finds the address fields of both configurations by
// their names: one that is added to them has to be in Ports.
func TestNoAddressIsForgottenInPorts(t *testing.T) {
	for _, c := range []interface{ Ports() Ports }{&TX{}, &RX{}} {
		next := uint16(20_000)
		fill(reflect.ValueOf(c).Elem(), &next)
		p := c.Ports()
		for port := uint16(20_000); port < next; port++ {
			if !slices.Contains(p.Listen, port) && !slices.Contains(p.Connect, port) {
				t.Errorf("%T: address number %d of its fields has no port in %v", c, port-20_000+1, p)
			}
		}
		if next < 20_005 {
			t.Errorf("%T: only %d addresses found", c, next-20_000)
		}
	}
}

// fill gives every field that is named after an address one of its own.
func fill(v reflect.Value, next *uint16) {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), next)
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		address := slices.ContainsFunc([]string{"Listen", "Forward", "Broker", "Endpoint"},
			func(s string) bool { return strings.HasSuffix(name, s) })
		text := "tcp://host:" + strconv.Itoa(int(*next))
		switch {
		case address && field.Kind() == reflect.String:
			field.SetString(text)
			*next++
		case address && field.Kind() == reflect.Slice:
			field.Set(reflect.ValueOf([]string{text}))
			*next++
		default:
			fill(field, next)
		}
	}
}
