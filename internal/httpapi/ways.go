package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// Ways keeps which ways in are open, and who came by which.
type Ways interface {
	Ways(account string) []keyring.Way
	SetWay(ctx context.Context, account string, w keyring.Way) error
	Uses(ctx context.Context, account string, kind token.Kind, since time.Time, limit int) ([]keyring.Use, error)
}

const (
	// maxUses is the most rows of a report; more are told of, not shown.
	maxUses = 10000
	// recently is how far back the short count of who uses a way looks.
	recently = 7 * 24 * time.Hour
	day      = 24 * time.Hour
)

// Way is one way in.
type Way struct {
	Kind       token.Kind `json:"kind" enum:"ticket,access,capability"`
	Open       bool       `json:"open"`
	Closes     time.Time  `json:"closes_at,omitzero" doc:"open until then"`
	Identities int        `json:"identities" doc:"how many came by it in the last 7 days"`
}

// Use is who came by a way, with which app, and how often.
type Use struct {
	Identity string    `json:"identity"`
	App      string    `json:"app,omitempty" doc:"AP… that the token may call by"`
	Origin   string    `json:"origin,omitempty" doc:"scheme and host of the page"`
	SDK      string    `json:"sdk,omitempty" doc:"version of the SDK the last time"`
	Key      string    `json:"key,omitempty" doc:"of the token the last time"`
	First    time.Time `json:"first_at,omitzero"`
	Last     time.Time `json:"last_at,omitzero"`
	Count    int64     `json:"count" doc:"registrations and renewals"`
}

// Uses is the report of a way.
type Uses struct {
	Uses []Use `json:"uses"`
	More bool  `json:"more,omitempty" doc:"there are more than are shown"`
}

// WayPath is a part of inputs, exported as Page is.
type WayPath struct {
	Kind token.Kind `path:"kind" enum:"ticket,access,capability"`
}

type (
	waysAnswer struct {
		Body struct {
			Ways []Way `json:"ways"`
		}
	}
	wayAnswer   struct{ Body Way }
	setWayInput struct {
		WayPath
		Body struct {
			Open   bool       `json:"open"`
			Closes *time.Time `json:"closes_at,omitempty" doc:"with open: when it closes by itself"`
		}
	}
	usesInput struct {
		WayPath
		Days   int    `query:"days" minimum:"1" maximum:"366" default:"30"`
		Accept string `header:"Accept" maxLength:"500"`
	}
	usesAnswer struct {
		ContentType string `header:"Content-Type"`
		Disposition string `header:"Content-Disposition"`
		Vary        string `header:"Vary"`
		Body        any
	}
)

func (s *Server) wayOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "ways", Method: http.MethodGet, Path: "/api/v1/ways", Summary: "The ways in: open or closed, and how many use them",
		Tags: []string{"ways"}, Security: byBoth, Errors: []int{401, 403},
	}, s.ways)
	huma.Register(api, huma.Operation{
		OperationID: "set-way", Method: http.MethodPut, Path: "/api/v1/ways/{kind}", Summary: "Open or close a way in, or set the day on which it closes",
		Tags: []string{"ways"}, Security: byBoth, Errors: []int{401, 403, 409, 422},
	}, s.setWay)
	report := huma.SchemaFromType(api.OpenAPI().Components.Schemas, reflect.TypeFor[Uses]())
	huma.Register(api, huma.Operation{
		OperationID: "uses", Method: http.MethodGet, Path: "/api/v1/ways/{kind}/uses", Summary: "Who came by a way, the last first",
		Description: "With \"Accept: text/csv\" as a table for a spreadsheet.",
		Tags:        []string{"ways"}, Security: byBoth, Errors: []int{401, 403, 422},
		Responses: map[string]*huma.Response{"200": {Content: map[string]*huma.MediaType{
			"application/json": {Schema: report}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
	}, s.uses)
}

func (s *Server) ways(ctx context.Context, _ *struct{}) (*waysAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &waysAnswer{}
	out.Body.Ways = []Way{}
	for _, w := range s.o.Ring.Ways(c.viewer.Account) {
		way, err := s.way(ctx, c.viewer.Account, w)
		if err != nil {
			return nil, s.failed(err)
		}
		out.Body.Ways = append(out.Body.Ways, way)
	}
	return out, nil
}

// way adds to a way how many use it.
func (s *Server) way(ctx context.Context, account string, w keyring.Way) (Way, error) {
	now := time.Now()
	uses, err := s.o.Ring.Uses(ctx, account, w.Kind, now.Add(-recently), maxUses)
	if err != nil {
		return Way{}, err
	}
	who := map[string]struct{}{}
	for _, u := range uses {
		who[u.Identity] = struct{}{}
	}
	return Way{Kind: w.Kind, Open: openAt(w, now), Closes: w.Closes, Identities: len(who)}, nil
}

// openAt reports whether a way lets devices in at that time.
func openAt(w keyring.Way, now time.Time) bool {
	return w.Open && (w.Closes.IsZero() || now.Before(w.Closes))
}

func (s *Server) setWay(ctx context.Context, in *setWayInput) (*wayAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	w := keyring.Way{Kind: in.Kind, Open: in.Body.Open}
	if in.Body.Closes != nil {
		w.Closes = in.Body.Closes.UTC()
		switch now := time.Now(); {
		case !w.Open:
			return nil, s.failed(fault.New(fault.Invalid, `A day on which it closes is for an open way: send "open": true with it, or leave "closes_at" out.`))
		case !w.Closes.After(now):
			return nil, s.failed(fault.New(fault.Invalid, `The time in "closes_at" is over. Choose a later one, or close the way now with "open": false.`))
		case w.Closes.After(now.AddDate(5, 0, 0)):
			return nil, s.failed(fault.New(fault.Invalid, `The time in "closes_at" is more than five years ahead. Choose an earlier one, or leave it out.`))
		}
	}
	if err := s.o.Ring.SetWay(ctx, c.viewer.Account, w); err != nil {
		return nil, s.failed(err)
	}
	detail := map[string]string{"open": yesNo(w.Open)}
	if !w.Closes.IsZero() {
		detail["closes_at"] = w.Closes.Format(time.RFC3339)
	}
	s.changed(ctx, c, people.WayChange, string(w.Kind), detail)
	ways := s.o.Ring.Ways(c.viewer.Account)
	if at := slices.IndexFunc(ways, func(now keyring.Way) bool { return now.Kind == w.Kind }); at >= 0 {
		w = ways[at]
	}
	way, err := s.way(ctx, c.viewer.Account, w)
	if err != nil {
		return nil, s.failed(err)
	}
	return &wayAnswer{Body: way}, nil
}

func (s *Server) uses(ctx context.Context, in *usesInput) (*usesAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	rows, err := s.o.Ring.Uses(ctx, c.viewer.Account, in.Kind, time.Now().Add(-time.Duration(in.Days)*day), maxUses+1)
	if err != nil {
		return nil, s.failed(err)
	}
	out := Uses{Uses: []Use{}, More: len(rows) > maxUses}
	for _, u := range rows[:min(len(rows), maxUses)] {
		out.Uses = append(out.Uses, Use{
			Identity: u.Identity, App: u.App, Origin: u.Origin, SDK: u.SDK, Key: u.KeyID, First: u.First, Last: u.Last, Count: u.Count,
		})
	}
	answer := &usesAnswer{Vary: "Accept", Body: out}
	if wantsCSV(in.Accept) {
		table, err := usesTable(out.Uses)
		if err != nil {
			return nil, s.failed(err)
		}
		answer.ContentType = "text/csv; charset=utf-8"
		answer.Disposition = `attachment; filename="` + string(in.Kind) + `-uses.csv"`
		answer.Body = table
	}
	return answer, nil
}

func wantsCSV(accept string) bool {
	return slices.ContainsFunc(strings.Split(accept, ","), func(one string) bool {
		kind, _, err := mime.ParseMediaType(one)
		return err == nil && kind == "text/csv"
	})
}

func usesTable(uses []Use) ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	rows := [][]string{{"identity", "app", "origin", "sdk", "key", "first_at", "last_at", "count"}}
	for _, u := range uses {
		rows = append(rows, []string{
			plainCell(u.Identity), plainCell(u.App), plainCell(u.Origin), plainCell(u.SDK), plainCell(u.Key),
			u.First.UTC().Format(time.RFC3339), u.Last.UTC().Format(time.RFC3339), strconv.FormatInt(u.Count, 10),
		})
	}
	err := w.WriteAll(rows)
	return text.Bytes(), err
}

// plainCell keeps a spreadsheet from taking what a device calls itself for a
// formula. The apostrophe is what spreadsheets themselves use for that; what
// looks like an ordinary name is not touched.
func plainCell(text string) string {
	if strings.ContainsRune("=+-@\t\r\n", firstRune(strings.TrimLeft(text, " "))) || strings.HasPrefix(text, "'") {
		return "'" + text
	}
	return text
}

func firstRune(text string) rune {
	for _, r := range text {
		return r
	}
	return 'x' // an empty cell is plain
}
