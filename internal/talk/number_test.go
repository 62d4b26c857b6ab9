package talk

import (
	"strings"
	"testing"

	"dialtone/internal/fault"
)

func TestParseNumber(t *testing.T) {
	for _, test := range []struct{ input, country, want string }{
		{"+15550100", "US", "+15550100"}, // the demo's carrier: no real number, still a number
		{"5550100", "US", "+15550100"},
		{"555-0100", "us", "+15550100"},
		{"(212) 555-0123", "US", "+12125550123"},
		{"1 212 555 0123", "US", "+12125550123"},
		{"+33 1 23 45 67 89", "US", "+33123456789"},
		{"011 33 1 23 45 67 89", "US", "+33123456789"},
		{"00 44 20 7946 0958", "DE", "+442079460958"},
		{"01 23 45 67 89", "FR", "+33123456789"},
		{"030/123456", "DE", "+4930123456"},
		{" +1.212.555.0123 ", "", "+12125550123"},
		{"911", "US", "911"},
		{"112", "FR", "112"},
		{"", "US", ""},
		{"12345", "US", ""},
		{"411", "US", ""},
		{"+", "US", ""},
		{"hello", "US", ""},
		{"1-800-FLOWERS", "US", ""},
		{"client:bob", "US", ""},
		{"sip:1@example.com", "US", ""},
		{"2125550123", "", ""},
		{"+1212555012345678", "US", ""},
		{strings.Repeat("1", 100), "US", ""},
		{"+1 212 555 0123;ext=5", "US", ""},
		{"*67 212 555 0123", "US", ""},
	} {
		got, err := ParseNumber(test.input, test.country)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%q in %s: got %q, %v", test.input, test.country, got, err)
		}
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: error of kind %v", test.input, fault.KindOf(err))
		}
	}
}

func TestCountryOf(t *testing.T) {
	for number, want := range map[string]string{
		"+12125550123": "US", "+15550100": "US", "+33123456789": "FR", "+442079460958": "GB",
		"+80012345678": "", "": "", "112": "", "nonsense": "", "+999": "",
	} {
		if got := CountryOf(number); got != want {
			t.Errorf("%q: got %q, want %q", number, got, want)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, input := range []string{"+15550100", "0044 20 7946 0958", "911", "(212) 555-0123", "٠١٢٣٤٥٦٧٨٩", "+++", "\x00"} {
		f.Add(input, "US")
	}
	f.Fuzz(func(t *testing.T, input, country string) {
		number, err := ParseNumber(input, country)
		if err != nil {
			return
		}
		if strings.Trim(number, "+0123456789") != "" || len(number) > 16 || strings.LastIndex(number, "+") > 0 {
			t.Fatalf("%q in %q becomes %q", input, country, number)
		}
		if strings.HasPrefix(number, "+") {
			if again, err := ParseNumber(number, country); err != nil || again != number {
				t.Fatalf("%q becomes %q, which becomes %q, %v", input, number, again, err)
			}
		}
	})
}
