package airports

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed data/*.json.gz
var files embed.FS

// Airport is one airport as the service shows it.
type Airport struct {
	Ident        string  `json:"ident"`
	Type         string  `json:"type"`
	Name         string  `json:"name"`
	Latitude     float64 `json:"latitude"`
	Longitude    float64 `json:"longitude"`
	ElevationFt  *int    `json:"elevation_ft"`
	Continent    string  `json:"continent"`
	Country      string  `json:"country"`
	Region       string  `json:"region"`
	Municipality string  `json:"municipality,omitempty"`
	Scheduled    bool    `json:"scheduled_service"`
	IATA         string  `json:"iata_code,omitempty"`
	GPS          string  `json:"gps_code,omitempty"`
	Wikipedia    string  `json:"wikipedia,omitempty"`
}

// Country is one country or territory.
type Country struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	Continent string `json:"continent"`
	Airports  int    `json:"airports"`
	Wikipedia string `json:"wikipedia,omitempty"`
}

// Region is a first-level part of a country.
type Region struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	Country   string `json:"country"`
	Continent string `json:"continent"`
	Airports  int    `json:"airports"`
}

// Dataset holds all records, and the indexes that the handlers look them up
// by. It is never changed after Load.
type Dataset struct {
	Airports  []*Airport // in order of ident
	Countries []*Country // in order of code
	byIdent   map[string]*Airport
	byCountry map[string][]*Airport
	countries map[string]*Country
	regions   map[string]*Region
	haystack  []string // what a search looks through, one for each airport
}

// Load returns the embedded data set, unpacked once for the process.
var Load = sync.OnceValues(load)

// row is a record with the column names of the OurAirports data dictionary.
type row struct {
	Ident        string `json:"ident"`
	Code         string `json:"code"`
	Type         string `json:"type"`
	Name         string `json:"name"`
	Latitude     string `json:"latitude_deg"`
	Longitude    string `json:"longitude_deg"`
	Elevation    string `json:"elevation_ft"`
	Continent    string `json:"continent"`
	Country      string `json:"iso_country"`
	Region       string `json:"iso_region"`
	Municipality string `json:"municipality"`
	Scheduled    string `json:"scheduled_service"`
	IATA         string `json:"iata_code"`
	GPS          string `json:"gps_code"`
	Wikipedia    string `json:"wikipedia_link"`
}

func load() (*Dataset, error) {
	d := &Dataset{
		byIdent:   make(map[string]*Airport),
		byCountry: make(map[string][]*Airport),
		countries: make(map[string]*Country),
		regions:   make(map[string]*Region),
	}
	for _, step := range []struct {
		file string
		add  func(row) error
	}{
		{"countries", d.addCountry},
		{"regions", d.addRegion},
		{"airports", d.addAirport},
	} {
		rows, err := read(step.file)
		if err != nil {
			return nil, fmt.Errorf("airports: %s: %w", step.file, err)
		}
		for _, r := range rows {
			if err := step.add(r); err != nil {
				return nil, fmt.Errorf("airports: %s: %w", step.file, err)
			}
		}
	}
	return d, nil
}

func read(name string) ([]row, error) {
	packed, err := files.ReadFile("data/" + name + ".json.gz")
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var rows []row
	return rows, json.NewDecoder(unpacked).Decode(&rows)
}

func (d *Dataset) addCountry(r row) error {
	c := &Country{Code: r.Code, Name: r.Name, Continent: r.Continent, Wikipedia: r.Wikipedia}
	d.Countries = append(d.Countries, c)
	d.countries[c.Code] = c
	return nil
}

func (d *Dataset) addRegion(r row) error {
	d.regions[r.Code] = &Region{Code: r.Code, Name: r.Name, Country: r.Country, Continent: r.Continent}
	return nil
}

func (d *Dataset) addAirport(r row) error {
	latitude, err := strconv.ParseFloat(r.Latitude, 64)
	if err != nil {
		return fmt.Errorf("%s: latitude: %w", r.Ident, err)
	}
	longitude, err := strconv.ParseFloat(r.Longitude, 64)
	if err != nil {
		return fmt.Errorf("%s: longitude: %w", r.Ident, err)
	}
	a := &Airport{
		Ident: r.Ident, Type: r.Type, Name: r.Name, Latitude: latitude, Longitude: longitude,
		Continent: r.Continent, Country: r.Country, Region: r.Region, Municipality: r.Municipality,
		Scheduled: r.Scheduled == "yes", IATA: r.IATA, GPS: r.GPS, Wikipedia: r.Wikipedia,
	}
	if feet, err := strconv.Atoi(r.Elevation); err == nil {
		a.ElevationFt = &feet
	}
	d.Airports = append(d.Airports, a)
	d.byIdent[a.Ident] = a
	// An ident wins over another airport's IATA code, whichever comes first.
	if _, taken := d.byIdent[a.IATA]; a.IATA != "" && !taken {
		d.byIdent[a.IATA] = a
	}
	d.byCountry[a.Country] = append(d.byCountry[a.Country], a)
	d.haystack = append(d.haystack, strings.ToLower(a.Ident+" "+a.IATA+" "+a.Name+" "+a.Municipality))
	if c := d.countries[a.Country]; c != nil {
		c.Airports++
	}
	if g := d.regions[a.Region]; g != nil {
		g.Airports++
	}
	return nil
}
