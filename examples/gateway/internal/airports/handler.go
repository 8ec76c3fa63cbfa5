package airports

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Options configures a Handler.
type Options struct {
	// MinLatency and MaxLatency bound the time that each answer is made to
	// take, chosen evenly between them: the slow service that a cache is put in
	// front of. Zero means no delay.
	MinLatency, MaxLatency time.Duration
	// Name tells replicas apart; it is sent as X-Served-By. Empty: not sent.
	Name string
}

// The lifetimes that the service gives its answers.
const (
	recordPolicy  = "public, max-age=300, stale-while-revalidate=60, stale-if-error=600"
	listPolicy    = "public, max-age=60, s-maxage=120"
	searchPolicy  = "public, max-age=30"
	countryPolicy = "public, max-age=3600, stale-while-revalidate=600"
)

// Handler serves the data set. It is safe for concurrent use.
type Handler struct {
	data    *Dataset
	options Options
	started time.Time
	mux     *http.ServeMux
}

// NewHandler returns the service's handler.
func NewHandler(o Options) (*Handler, error) {
	data, err := Load()
	if err != nil {
		return nil, err
	}
	h := &Handler{data: data, options: o, started: time.Now(), mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /airports":                h.list,
		"GET /airports/{ident}":        h.airport,
		"GET /airports/{ident}/nearby": h.nearby,
		"GET /search":                  h.search,
		"GET /countries":               h.countries,
		"GET /countries/{code}":        h.country,
		"GET /regions/{code}":          h.region,
		"GET /status":                  h.status,
	} {
		h.mux.Handle(pattern, slow(o, serve))
	}
	return h, nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.options.Name != "" {
		w.Header().Set("X-Served-By", h.options.Name)
	}
	h.mux.ServeHTTP(w, r)
}

type page struct {
	Total  int        `json:"total"`
	Offset int        `json:"offset"`
	Items  []*Airport `json:"items"`
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	all := h.data.List(Filter{
		Country:   strings.ToUpper(q.Get("country")),
		Continent: strings.ToUpper(q.Get("continent")),
		Type:      q.Get("type"),
	})
	tags := []string{"airports"}
	if c := q.Get("country"); c != "" {
		tags = append(tags, "country:"+strings.ToUpper(c))
	}
	h.page(w, r, all, listPolicy, tags)
}

func (h *Handler) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("q")
	if strings.TrimSpace(q) == "" {
		fail(w, http.StatusBadRequest, "q is missing: /search?q=paris")
		return
	}
	h.page(w, r, h.data.Search(q), searchPolicy, []string{"search"})
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request, all []*Airport, policy string, tags []string) {
	limit, ok1 := number(r, "limit", 20, 200)
	offset, ok2 := number(r, "offset", 0, math.MaxInt32)
	if !ok1 || !ok2 {
		fail(w, http.StatusBadRequest, "limit (at most 200) and offset are whole numbers from 0")
		return
	}
	from := min(offset, len(all))
	items := all[from:min(from+limit, len(all))]
	if items == nil {
		items = []*Airport{}
	}
	answer(w, r, page{Total: len(all), Offset: offset, Items: items}, policy, tags)
}

func (h *Handler) airport(w http.ResponseWriter, r *http.Request) {
	if a := h.find(w, r); a != nil {
		answer(w, r, a, recordPolicy, []string{"airport:" + a.Ident, "country:" + a.Country})
	}
}

func (h *Handler) nearby(w http.ResponseWriter, r *http.Request) {
	a := h.find(w, r)
	if a == nil {
		return
	}
	radius, ok1 := number(r, "radius_km", 200, 2000)
	limit, ok2 := number(r, "limit", 10, 100)
	if !ok1 || !ok2 {
		fail(w, http.StatusBadRequest, "radius_km (at most 2000) and limit (at most 100) are whole numbers from 0")
		return
	}
	all := h.data.Nearby(a, float64(radius))
	items := append([]Near{}, all[:min(limit, len(all))]...)
	answer(w, r, struct {
		Of    string `json:"of"`
		Items []Near `json:"items"`
	}{a.Ident, items}, recordPolicy, []string{"airport:" + a.Ident, "nearby"})
}

func (h *Handler) countries(w http.ResponseWriter, r *http.Request) {
	answer(w, r, h.data.Countries, countryPolicy, []string{"countries"})
}

func (h *Handler) country(w http.ResponseWriter, r *http.Request) {
	c := h.data.countries[strings.ToUpper(r.PathValue("code"))]
	if c == nil {
		fail(w, http.StatusNotFound, "no such country: use an ISO 3166-1 code such as FR")
		return
	}
	answer(w, r, c, countryPolicy, []string{"country:" + c.Code})
}

func (h *Handler) region(w http.ResponseWriter, r *http.Request) {
	g := h.data.regions[strings.ToUpper(r.PathValue("code"))]
	if g == nil {
		fail(w, http.StatusNotFound, "no such region: use an ISO 3166-2 code such as FR-IDF")
		return
	}
	answer(w, r, g, countryPolicy, []string{"region:" + g.Code, "country:" + g.Country})
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) {
	answer(w, r, map[string]any{
		"airports": len(h.data.Airports), "countries": len(h.data.Countries), "regions": len(h.data.regions),
		"now": time.Now().UTC().Format(time.RFC3339Nano), "uptime_seconds": time.Since(h.started).Seconds(),
	}, "no-store", nil)
}

func (h *Handler) find(w http.ResponseWriter, r *http.Request) *Airport {
	a := h.data.byIdent[strings.ToUpper(r.PathValue("ident"))]
	if a == nil {
		fail(w, http.StatusNotFound, "no such airport: use an ICAO ident or an IATA code, such as LFPG or CDG")
	}
	return a
}

// number reads a whole number from the query; missing means def, and anything
// from 0 to highest is right.
func number(r *http.Request, name string, def, highest int) (int, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= highest
}
