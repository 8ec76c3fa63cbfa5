package config

import (
	"net/netip"
	"strings"
)

// Networks is a set of addresses.
type Networks []netip.Prefix

// parseNetwork reads an address or a prefix.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
}

// Trusted returns the trusted proxies.
func (c *Config) Trusted() Networks {
	var out Networks
	for _, text := range c.TrustedProxies {
		if p, err := parseNetwork(text); err == nil { // validate tells of others
			out = append(out, p)
		}
	}
	return out
}

// Contain tells whether an address, without port, is one of them.
func (n Networks) Contain(address string) bool {
	if len(n) == 0 {
		return false
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && n.ContainAddr(ip.Unmap().WithZone(""))
}

// ContainAddr is Contain for a parsed address.
func (n Networks) ContainAddr(ip netip.Addr) bool {
	for _, p := range n {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
