// Program grafana reads a dashboard from standard input by Grafana's own types, which refuse
// fields that they do not have and miss those that they require, for the test of
// tools/monitoring. It is a module of its own, so that these types are not among the
// product's dependencies.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	data, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = check(data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(data []byte) error {
	panels := cog.NewRuntime()
	for _, v := range []variants.PanelcfgConfig{heatmap.VariantConfig(), statetimeline.VariantConfig(),
		table.VariantConfig(), timeseries.VariantConfig()} {
		panels.RegisterPanelcfgVariant(v)
	}
	panels.RegisterDataqueryVariant(prometheus.VariantConfig())
	// A strict reading ends with a list of errors, empty or not, and leaves out what it has read.
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(data); err != nil && err.Error() != "" {
		return err
	}
	var d dashboard.Dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	for i, p := range d.Panels {
		if p.Panel == nil {
			continue
		}
		if _, found := panels.ConfigForPanelcfgVariant(p.Panel.Type); !found {
			return fmt.Errorf("panels[%d]: the options of %q are not checked: add its type to this program",
				i, p.Panel.Type)
		}
	}
	return d.Validate()
}
