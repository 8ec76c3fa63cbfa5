// Targeted fields (RFC 9213): the directives of Cache-Control as a Dictionary.

package field

// ParseTargeted parses a targeted field. ok is false if it is empty, not a
// Dictionary, or gives a directive a value of another type than its own; such
// a field counts as absent (section 2.1).
func ParseTargeted(s string) (d Response, ok bool) {
	members, err := ParseDictionary(s)
	if err != nil || len(members) == 0 {
		return d, false
	}
	d = noResponse()
	d.Present = true
	ok = true
	for _, m := range members {
		switch m.Key {
		case "no-store":
			ok = ok && flag(&d.NoStore, m.Value)
		case "public":
			ok = ok && flag(&d.Public, m.Value)
		case "must-revalidate":
			ok = ok && flag(&d.MustRevalidate, m.Value)
		case "proxy-revalidate":
			ok = ok && flag(&d.ProxyRevalidate, m.Value)
		case "must-understand":
			ok = ok && flag(&d.MustUnderstand, m.Value)
		case "no-cache":
			ok = ok && flagOrFields(&d.NoCache, &d.NoCacheFields, m.Value)
		case "private":
			ok = ok && flagOrFields(&d.Private, &d.PrivateFields, m.Value)
		case "max-age":
			ok = ok && seconds(&d.MaxAge, m.Value)
		case "s-maxage":
			ok = ok && seconds(&d.SMaxAge, m.Value)
		case "stale-while-revalidate":
			ok = ok && seconds(&d.StaleWhileRevalidate, m.Value)
		case "stale-if-error":
			ok = ok && seconds(&d.StaleIfError, m.Value)
		}
	}
	return d, ok
}

func flag(v *bool, item Item) bool {
	*v = item.Num == 1
	return item.Kind == Boolean
}

func seconds(v *int64, item Item) bool {
	*v = min(item.Num, MaxDelta)
	return item.Kind == Integer && item.Num >= 0
}

// flagOrFields takes a boolean, or a String or Token that lists field names.
func flagOrFields(v *bool, names *[]string, item Item) bool {
	switch item.Kind {
	case Boolean:
		*v = item.Num == 1
		return true
	case String, Token:
		*v = fieldNames(names, true, item.Text) || *v
		return true
	}
	return false
}
