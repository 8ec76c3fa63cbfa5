package fleet

// Metric is one number of Stats, for whatever exports metrics. For Prometheus:
//
//	func (c collector) Collect(out chan<- prometheus.Metric) {
//		for _, m := range c.member.Stats().Metrics() {
//			kind := prometheus.GaugeValue
//			if m.Counter {
//				kind = prometheus.CounterValue
//			}
//			desc := prometheus.NewDesc("larder_fleet_"+m.Name, m.Help, nil, nil)
//			out <- prometheus.MustNewConstMetric(desc, kind, m.Value)
//		}
//	}
type Metric struct {
	Name, Help string
	Counter    bool // it only grows; otherwise it is how things stand
	Value      float64
}

// Metrics returns all numbers, always the same ones in the same order.
func (s Stats) Metrics() []Metric {
	gauge := func(name, help string, value float64) Metric { return Metric{name, help, false, value} }
	count := func(name, help string, value uint64) Metric {
		return Metric{name + "_total", help, true, float64(value)}
	}
	available := 0.0
	if s.Available {
		available = 1
	}
	behind := -1.0
	if s.Behind >= 0 {
		behind = float64(s.Behind) / 1e9
	}
	return []Metric{
		gauge("state", "2: following, 1: lagging, 0: isolated.", float64(s.State)),
		gauge("server_available", "1 if the breaker before the server is closed.", available),
		gauge("behind_seconds", "Time since the server was asked with success; -1: isolated.", behind),
		gauge("position", "Orders of the whole fleet, as far as is known here.", float64(s.Position)),
		count("orders_given", "Orders given here.", s.Given),
		count("orders_applied", "Orders carried out here, its own included.", s.Applied),
		count("orders_owed", "Orders that could not be given at once.", s.Owed),
		count("orders_waited_out", "Orders effective everywhere only by MaxStaleness.", s.WaitedOut),
		count("polls", "Times that the server was asked.", s.Polls),
		count("failed_polls", "Times that it could not be asked.", s.FailedPolls),
		count("pushes", "Pushes that came.", s.Pushes),
		count("lost_pushes", "Times that the connection for pushes was lost.", s.LostPushes),
		count("forgotten", "Times that everything was forgotten.", s.Forgotten),
		count("isolations", "Times that MaxStaleness passed without the server.", s.Isolations),
		count("epochs", "Times that the server's epoch was another.", s.Epochs),
		count("gaps", "Times that orders could not be known any more.", s.Gaps),
		count("rewinds", "Times that the server had lost what it had acknowledged.", s.Rewinds),
		count("exchanges", "Exchanges with the server.", s.Exchanges),
		count("failed_exchanges", "Exchanges that failed or took too long.", s.FailedExchanges),
		count("breaker_opened", "Times that the breaker opened.", s.BreakerOpened),
	}
}
