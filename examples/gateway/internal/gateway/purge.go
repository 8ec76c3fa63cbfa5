package gateway

import (
	"net/http"
	"net/url"
)

// maxPurgeBody bounds a purge's form, as the purge API does itself.
const maxPurgeBody = 1 << 20

// purgesAsStored brings the hosts of the URLs that are to be purged into the form that the
// door gives to those of requests (normalise.go), which is the one they are stored under.
// What can't be read is left to the purge API to refuse.
func purgesAsStored(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxPurgeBody)
		if r.Method == http.MethodPost && r.ParseForm() == nil {
			for _, name := range [...]string{"url", "prefix"} {
				for i, value := range r.Form[name] {
					r.Form[name][i] = asStored(value)
				}
			}
		}
		api.ServeHTTP(w, r)
	})
}

func asStored(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	host, err := normalHost(u.Host, u.Scheme == "https")
	if err != nil {
		return text
	}
	u.Host = host
	return u.String()
}
