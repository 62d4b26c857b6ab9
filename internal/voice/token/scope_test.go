package token

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// TestScopesOfTheLibraries reads scopes as the official libraries spell them:
// Node, Python and Ruby after their sources, C# after its unit test, PHP and Java
// after their languages' own query escaping. Only Node's was also run (testdata/twilio).
func TestScopesOfTheLibraries(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		want  scopes
	}{
		"Node": {
			"scope:client:outgoing?appSid=AP1&clientName=Ann%20O'Neil%3F&appParams=a%3D1%2526%26b%3Dx%2520y scope:client:incoming?clientName=Ann%20O'Neil%3F",
			scopes{client: true, identity: "Ann O'Neil?", incoming: true, outgoing: true, app: "AP1", params: url.Values{"a": {"1&"}, "b": {"x y"}}},
		},
		"Python": {
			"scope:client:outgoing?appParams=a%3D1%2526%26b%3Dx%2By&appSid=AP1&clientName=Ann+O%27Neil%3F scope:client:incoming?clientName=Ann+O%27Neil%3F",
			scopes{client: true, identity: "Ann O'Neil?", incoming: true, outgoing: true, app: "AP1", params: url.Values{"a": {"1&"}, "b": {"x y"}}},
		},
		"PHP, no parameters": {
			"scope:client:incoming?clientName=jenny scope:client:outgoing?appSid=AP1&appParams=&clientName=jenny",
			scopes{client: true, identity: "jenny", incoming: true, outgoing: true, app: "AP1", params: url.Values{}},
		},
		"Ruby, each parameter escaped by itself": {
			"scope:client:outgoing?appSid=AP1&clientName=bob&appParams=a%3D1&b%3Dx+y&c%3D50%25",
			scopes{client: true, identity: "bob", outgoing: true, app: "AP1", params: url.Values{"a": {"1"}, "b": {"x y"}, "c": {"50%"}}},
		},
		"C#, small hexadecimal digits": {
			"scope:client:outgoing?appSid=AP1&clientName=CL1&appParams=foo%3dbar",
			scopes{client: true, identity: "CL1", outgoing: true, app: "AP1", params: url.Values{"foo": {"bar"}}},
		},
		"Java": {
			"scope:client:outgoing?appSid=AP1&clientName=d%C3%A9j%C3%A0+vu",
			scopes{client: true, identity: "déjà vu", outgoing: true, app: "AP1"},
		},
		"the event stream between": {
			"scope:client:incoming?clientName=b scope:stream:subscribe?path=/2010-04-01/Events&appParams=q%3D1 scope:client:outgoing?appSid=AP1",
			scopes{client: true, identity: "b", incoming: true, outgoing: true, app: "AP1"},
		},
	} {
		got, r := readScopes(c.claim)
		if r != "" || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q\n got %+v\nwant %+v", name, r, got, c.want)
		}
	}
}

func FuzzScopes(f *testing.F) {
	for _, s := range []string{
		"", " ", "scope:", "scope:client:incoming", "scope:client:incoming?clientName=bob", "scope:client:outgoing?appSid=AP1&appParams=a%3D1&b%3D2",
		"scope:client:outgoing?appSid=AP1&clientName=a scope:client:incoming?clientName=a", "scope:client:incoming?clientName=%", "scope:stream:subscribe?path=/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, claim string) {
		s, r := readScopes(claim)
		if r != "" {
			return
		}
		if s.client != (s.incoming || s.outgoing) || s.outgoing != (s.app != "") || s.incoming && s.identity == "" {
			t.Fatalf("%q: %+v", claim, s)
		}
		if s.identity != "" && identityFault(s.identity) != "" {
			t.Fatalf("%q: identity %q is %s", claim, s.identity, identityFault(s.identity))
		}
		if !s.client {
			return
		}
		// Written anew, it says the same.
		var again []string
		if s.outgoing {
			text := outgoingScope + "?appSid=" + escape(s.app)
			if s.identity != "" {
				text += "&clientName=" + escape(s.identity)
			}
			if s.params != nil {
				text += "&appParams=" + escape(query(s.params))
			}
			again = append(again, text)
		}
		if s.incoming {
			again = append(again, incomingScope+"?clientName="+escape(s.identity))
		}
		s2, r := readScopes(strings.Join(again, " "))
		if r != "" || !reflect.DeepEqual(s, s2) {
			t.Fatalf("%q: %+v, again %q: %+v %s", claim, s, again, s2, r)
		}
	})
}
