package load

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look into the node's database

	"dialtone/internal/app"
	"dialtone/internal/store/sqlite"
)

// traces is all that calls could leave behind.
type traces struct {
	open       app.Counts
	goroutines int
	sockets    int            // UDP, TCP and Unix ones of the whole process
	files      map[string]int // files below these directories
	rows       map[string]int // by table
}

func (w *world) traces() traces {
	w.t.Helper()
	w.node.HTTP.CloseIdleConnections()
	tr := traces{
		open: w.node.Open(), goroutines: runtime.NumGoroutine(), sockets: sockets(w.t),
		files: map[string]int{"recordings": 0, "spool": 0}, rows: map[string]int{},
	}
	if tr.open.Trunks.Transactions == 1 {
		tr.open.Trunks.Transactions = 0 // the OPTIONS that asks the carrier whether it lives
	}
	tr.open.Devices.Goroutines = 0 // counted with all others; one comes for each frame that is written
	for dir := range tr.files {
		err := filepath.WalkDir(filepath.Join(w.node.Dir, dir), func(_ string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				tr.files[dir]++
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	w.database(func(db *sql.DB) {
		for _, table := range column(w.t, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`) {
			var n int
			if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
				w.t.Fatal(err)
			}
			tr.rows[table] = n
		}
	})
	return tr
}

func (tr traces) String() string {
	return fmt.Sprintf("%+v, %d goroutines, %d sockets, files %v, rows %v", tr.open, tr.goroutines, tr.sockets, tr.files, tr.rows)
}

func (w *world) database(look func(*sql.DB)) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.node.Dir, sqlite.FileName)+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	look(db)
}

func column(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// sockets counts the process's open sockets.
func sockets(t testing.TB) int {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("sockets cannot be counted on this system: %v", err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// settle waits until nothing of calls is left but transactions' last timers
// (RFC 3261: 64 T1, 32 s, on either side), and those are over, too.
func (w *world) settle(before traces, within time.Duration) traces {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for {
		now := w.traces()
		if now.open == before.open && now.goroutines <= before.goroutines+slack && now.sockets == before.sockets || time.Now().After(deadline) {
			return now
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// slack is how many goroutines may come and go with no call at all: the pools
// of database/sql and net/http. A leak of one in ten calls is more.
const slack = 5

// stacks tells where the goroutines are that are more than before.
func stacks() map[string]int {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	all := map[string]int{}
	_, blocks, _ := strings.Cut(b.String(), "\n") // the first line is their number
	for block := range strings.SplitSeq(blocks, "\n\n") {
		head, rest, ok := strings.Cut(block, "\n")
		var n int
		if _, err := fmt.Sscanf(head, "%d @", &n); err != nil || !ok {
			continue
		}
		var where []string
		for line := range strings.Lines(rest) {
			if f := strings.Fields(line); len(f) > 2 {
				where = append(where, f[2])
			}
		}
		all[strings.Join(where, " < ")] += n
	}
	return all
}

func moreThan(before, after map[string]int) string {
	var b strings.Builder
	for _, where := range slices.Sorted(maps.Keys(after)) {
		if d := after[where] - before[where]; d > 0 {
			fmt.Fprintf(&b, "%+d %s\n", d, where)
		}
	}
	return b.String()
}
