package gateway

import (
	"slices"

	"github.com/larder-cache/larder/examples/gateway/internal/dashboard"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

func newDashboard(g *Gateway) *dashboard.Dashboard {
	return dashboard.New(dashboard.Source{
		Meter:     g.meter,
		Tags:      g.tags,
		Stats:     g.store.Stats,
		Upstreams: g.targets,
		Purge:     purgesAsStored(g.http.PurgeHandler()),
	})
}

// targets returns the state of all upstreams, in order of name.
func (g *Gateway) targets() []upstream.TargetStatus {
	s := g.state.Load()
	if s == nil {
		return nil
	}
	var all []upstream.TargetStatus
	names := make([]string, 0, len(s.pools))
	for name := range s.pools {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, s.pools[name].Status()...)
	}
	return all
}
