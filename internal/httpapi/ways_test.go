package httpapi_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"dialtone/internal/httpapi"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

func TestWays(t *testing.T) {
	s := settings{newHouse(t, nil)}
	now := time.Now().UTC().Truncate(time.Second)
	for _, u := range []keyring.Use{
		{Kind: token.Capability, Identity: "alice", App: "AP1", Last: now, Count: 3},
		{Kind: token.Capability, Identity: "alice", App: "AP2", Last: now, Count: 1},
		{Kind: token.Capability, Identity: "bob", Last: now.Add(-8 * 24 * time.Hour), Count: 2},
		{Kind: token.Access, Identity: "carol", Last: now, Count: 2},
	} {
		u.Account, u.First = s.ring.account, u.Last
		s.ring.uses = append(s.ring.uses, u)
	}
	var all struct{ Ways []httpapi.Way }
	s.do("GET", "/ways", "", 200, &all)
	if len(all.Ways) != 3 || all.Ways[2].Kind != token.Capability || all.Ways[2].Identities != 1 || all.Ways[1].Identities != 1 || all.Ways[0].Identities != 0 {
		t.Errorf("ways: %+v", all)
	}
	closes := now.Add(30 * 24 * time.Hour)
	var way httpapi.Way
	s.do("PUT", "/ways/capability", `{"open":true,"closes_at":"`+closes.Format(time.RFC3339)+`"}`, 200, &way)
	if !way.Open || !way.Closes.Equal(closes) || way.Identities != 1 {
		t.Errorf("way: %+v", way)
	}
	if l := s.audit.last(); l.Act != people.WayChange || l.Target != "capability" || l.Detail["closes_at"] != closes.Format(time.RFC3339) {
		t.Errorf("audit: %+v", l)
	}
	s.do("PUT", "/ways/ticket", `{"open":false}`, 200, nil)
	if a := s.do("PUT", "/ways/access", `{"open":false}`, 409, nil); !strings.Contains(a.Body, "must stay open") {
		t.Errorf("locked out: %s", a.Body)
	}
	if !s.ring.ways[token.Access].Open {
		t.Error("it was closed")
	}
}

func TestUses(t *testing.T) {
	s := settings{newHouse(t, nil)}
	now := time.Now().UTC().Truncate(time.Second)
	names := map[string]string{ // and what a spreadsheet gets
		"alice": "alice", "日本": "日本", `a,"b`: `a,"b`, "": "",
		"=HYPERLINK(1)": "'=HYPERLINK(1)", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", " =1": "' =1", "\t=1": "'\t=1", "'=1": "''=1", "a=b": "a=b",
	}
	for name := range names {
		s.ring.uses = append(s.ring.uses, keyring.Use{
			Kind: token.Capability, Identity: name, App: "AP1", Origin: "https://app.example", SDK: "1.15.1", KeyID: "AT1", First: now, Last: now, Count: 7,
		})
	}
	s.ring.uses = append(s.ring.uses, keyring.Use{Kind: token.Capability, Identity: "long ago", Last: now.Add(-40 * 24 * time.Hour)})
	var report httpapi.Uses
	s.do("GET", "/ways/capability/uses", "", 200, &report)
	if len(report.Uses) != len(names) || report.More || report.Uses[0].Count != 7 || report.Uses[0].Origin != "https://app.example" || !report.Uses[0].Last.Equal(now) {
		t.Errorf("report: %+v", report)
	}
	if s.do("GET", "/ways/capability/uses?days=60", "", 200, &report); len(report.Uses) != len(names)+1 {
		t.Errorf("of 60 days: %d", len(report.Uses))
	}
	a := s.ask("GET", "/api/v1/ways/capability/uses", "", "Authorization", "Bearer "+s.demo.APIKey, "Accept", "text/csv;q=1, */*;q=0.1")
	if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") || !strings.Contains(a.Header.Get("Content-Disposition"), "capability-uses.csv") {
		t.Fatalf("%d %v", a.Status, a.Header)
	}
	rows, err := csv.NewReader(strings.NewReader(a.Body)).ReadAll()
	if err != nil || len(rows) != len(names)+1 || strings.Join(rows[0], ",") != "identity,app,origin,sdk,key,first_at,last_at,count" {
		t.Fatalf("%v %q", err, rows)
	}
	want := map[string]bool{}
	for _, cell := range names {
		want[cell] = true
	}
	for _, row := range rows[1:] {
		if !want[row[0]] || row[7] != "7" || row[6] != now.Format(time.RFC3339) {
			t.Errorf("row %q", row)
		}
	}
	if a := s.ask("GET", "/api/v1/ways/capability/uses", "", "Authorization", "Bearer "+s.demo.APIKey, "Accept", "*/*"); a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.Header)
	}
	if a := s.ask("GET", "/api/v1/ways/capability/uses", "", "Authorization", "Bearer "+s.ring.named("watch").Bearer(), "Accept", "text/csv"); a.Status != 403 {
		t.Errorf("the table for others: %d", a.Status)
	}
}
