package talk

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
)

// ParseNumber reads a phone number as people write it, a national one as in the
// country (ISO 3166 alpha-2), and returns it in E.164. Emergency numbers of the
// country come back as they are. fault.Invalid when it is no number.
func ParseNumber(input, country string) (string, error) {
	input = strings.TrimSpace(input)
	if len(input) > 64 {
		return "", fault.New(fault.Invalid, "This is too long for a phone number.")
	}
	if strings.ContainsFunc(input, func(r rune) bool { return !unicode.IsDigit(r) && !strings.ContainsRune("+-./()\u00a0 ", r) }) {
		return "", fault.New(fault.Invalid, "This is not a phone number.")
	}
	country = strings.ToUpper(country)
	if digits := phonenumbers.NormalizeDigitsOnly(input); len(digits) <= 5 && digits != "" && !strings.HasPrefix(input, "+") {
		if phonenumbers.IsEmergencyNumber(digits, country) {
			return digits, nil
		}
		return "", fault.New(fault.Invalid, "This is too short for a phone number.")
	}
	n, err := phonenumbers.Parse(input, country)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "This is not a phone number.")
	}
	// Only the length is judged: numbering plans change faster than we do.
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if digits := len(e164) - 1; digits < 7 || digits > 15 {
		return "", fault.New(fault.Invalid, "A phone number has 7 to 15 digits with its country code.")
	}
	// A trunk prefix within a number that no plan has would be cut off anew each
	// time the number is read.
	if again, err := phonenumbers.Parse(e164, ""); err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
		return "", fault.New(fault.Invalid, "This is not a phone number.")
	}
	return e164, nil
}

// CountryOf returns the country of an E.164 number (ISO 3166 alpha-2), "" when
// it cannot be told.
func CountryOf(e164 string) string {
	if !strings.HasPrefix(e164, "+") {
		return ""
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(n); region != "" {
		return known(region)
	}
	return known(phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode())))
}

// known turns the library's marks for "no country" into "".
func known(region string) string {
	if region == "ZZ" || region == "001" {
		return ""
	}
	return region
}

// partyOf returns the party at an address that no agent or line is known for.
func partyOf(a call.Address) Party {
	return Party{Number: a.Number, Name: a.Name, Identity: a.Identity, Country: CountryOf(a.Number)}
}
