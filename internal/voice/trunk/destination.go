package trunk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"dialtone/internal/fault"
)

// Destinations says who may be called: the calling line's own country always,
// others by list, premium-rate numbers never, emergency numbers always.
type Destinations struct {
	Home      string              `yaml:"home"`      // ISO 3166 code: country of calls whose own number says none; "": none
	Countries []string            `yaml:"countries"` // that may be called besides the line's own; "*": all
	Lines     map[string][]string `yaml:"lines"`     // line's number → in place of Countries
	Short     []string            `yaml:"short"`     // numbers without a country that may be called, as a carrier's 611
}

// Validate returns what is wrong with the lists, joined.
func (d Destinations) Validate() error {
	var errs []error
	all := append([]string(nil), d.Countries...)
	for _, list := range d.Lines {
		all = append(all, list...)
	}
	if d.Home != "" {
		all = append(all, d.Home)
	}
	for _, c := range all {
		if c != "*" && !isCountry(c) {
			errs = append(errs, fmt.Errorf("destinations: %q is not a country code of ISO 3166", c))
		}
	}
	return errors.Join(errs...)
}

// Destination is an allowed number.
type Destination struct {
	Number    string // E.164 where the number has a country, else as dialled
	Country   string // "" for short and emergency numbers
	Emergency bool
}

// Check says whether from may call to; the error is a fault.Forbidden or, when
// nothing of a number can be recognised, a fault.Invalid.
func (d Destinations) Check(from, to string) (Destination, error) {
	home := regionOf(from)
	if home == "" {
		home = strings.ToUpper(d.Home)
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().\u00a0/", r) {
			return -1
		}
		return r
	}, to)
	// Never blocked: a call for help (112 in every GSM network, and the country's own).
	if home != "" && phonenumbers.IsEmergencyNumber(digits, home) || home == "" && (digits == "112" || digits == "911") {
		return Destination{Number: digits, Emergency: true}, nil
	}
	if slices.Contains(d.Short, digits) {
		return Destination{Number: digits}, nil
	}
	n, err := phonenumbers.Parse(digits, home)
	// What is dialled without a country code must be a whole number of the country.
	if err != nil || !isE164(phonenumbers.Format(n, phonenumbers.E164)) ||
		digits[0] != '+' && phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return Destination{}, fault.New(fault.Invalid, "That is not a phone number that can be called.")
	}
	number := phonenumbers.Format(n, phonenumbers.E164)
	country := regionOf(number)
	if phonenumbers.GetNumberType(n) == phonenumbers.PREMIUM_RATE {
		return Destination{}, fault.New(fault.Forbidden, "Premium-rate numbers are not called.")
	}
	allowed, own := d.Lines[from]
	if !own {
		allowed = d.Countries
	}
	if country == "" || country != home && !slices.ContainsFunc(allowed, func(c string) bool {
		return c == "*" || strings.EqualFold(c, country)
	}) {
		return Destination{}, fault.New(fault.Forbidden, "Calls to this country are not allowed from this line.")
	}
	return Destination{Number: number, Country: country}, nil
}

// regionOf returns the country of an E.164 number, "" when it has none. A number
// that is not in use (as the fictional +1 555 01xx) counts to its code's main country.
func regionOf(number string) string {
	if !isE164(number) {
		return ""
	}
	n, err := phonenumbers.Parse(number, "")
	if err != nil {
		return ""
	}
	if r := phonenumbers.GetRegionCodeForNumber(n); r != "" && r != "ZZ" && r != "001" {
		return r
	}
	if r := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode())); r != "ZZ" && r != "001" {
		return r
	}
	return ""
}

func isE164(s string) bool {
	if len(s) < 5 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isCountry(code string) bool {
	return phonenumbers.GetCountryCodeForRegion(strings.ToUpper(code)) != 0
}
