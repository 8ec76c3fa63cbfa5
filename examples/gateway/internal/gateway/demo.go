package gateway

import (
	"context"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/accesslog"
	"github.com/larder-cache/larder/examples/gateway/internal/airports"
	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/loadgen"
)

// demoLoad sends the configured traffic to the gateway, without lines in the
// access log, until ctx ends.
func (g *Gateway) demoLoad(ctx context.Context, c config.Demo) {
	if c.Load == 0 || len(c.Paths) == 0 {
		return
	}
	data, err := airports.Load()
	if err != nil {
		g.log.Error("no demo traffic", "error", err)
		return
	}
	words := make(map[string][]string)
	for _, a := range data.List(airports.Filter{Type: "large_airport"}) {
		words["ident"] = append(words["ident"], a.Ident)
		if name, _, _ := strings.Cut(a.Municipality, " "); len(name) > 3 {
			words["word"] = append(words["word"], strings.ToLower(name))
		}
	}
	words["hub"] = []string{"ATL", "DXB", "LHR", "HND", "DFW", "IST", "CDG", "FRA", "JFK", "SIN"}
	for _, country := range data.Countries {
		words["country"] = append(words["country"], country.Code)
	}
	err = loadgen.Run(ctx, g, loadgen.Options{
		PerSecond: c.Load, Targets: c.Paths, Words: words, Base: accesslog.Quiet,
	})
	if err != nil {
		g.log.Error("no demo traffic", "error", err)
	}
}
