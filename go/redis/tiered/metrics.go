package tiered

import "github.com/larder-cache/larder/go/redis/fleet"

// Metrics returns the numbers of the tiers, those of Fleet after them with names that begin with
// "fleet_". Those of Near are as in package larderprometheus.
func (s Stats) Metrics() []fleet.Metric {
	var all []fleet.Metric
	for _, m := range []struct {
		name, help string
		value      uint64
	}{
		{"near_hits", "Reads that the process had a value for.", s.Near.Hits},
		{"server_hits", "Values that the server had.", s.Hits},
		{"server_stale_hits", "Stale values that the server had, and that were returned.", s.StaleHits},
		{"waits", "Times that another process's loader was waited for.", s.Waits},
		{"loads", "Calls of loaders under a lease.", s.Loads},
		{"refreshes", "Of these, of stale values.", s.Refreshes},
		{"loads_alone", "Calls of loaders without the server.", s.Alone},
		{"loads_queued", "Calls of loaders that waited for a place.", s.Queued},
		{"loads_passed", "Calls of loaders for values too large to be shared.", s.Passes},
		{"stale_errors", "Stale values returned because the loader failed.", s.StaleErrors},
		{"stored", "Values stored on the server by loads.", s.Stored},
		{"fenced", "Loads that were overtaken, and stored nothing.", s.Fenced},
		{"too_large", "Values too large for the server.", s.TooLarge},
		{"corrupt", "What was found on the server and is no value of its key.", s.Corrupt},
		{"void", "Values found on the server that are invalid.", s.Void},
	} {
		all = append(all, fleet.Metric{
			Name: m.name + "_total", Help: m.help, Counter: true, Value: float64(m.value),
		})
	}
	for _, m := range s.Fleet.Metrics() {
		m.Name = "fleet_" + m.Name
		all = append(all, m)
	}
	return all
}
