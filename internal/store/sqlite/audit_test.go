package sqlite

import (
	"strings"
	"testing"

	"dialtone/internal/talk/people"
)

// Not even by hand: the database itself refuses it.
func TestTheAuditLogIsOnlyAddedTo(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AddAudit(t.Context(), people.AuditEntry{ID: "AU1", Account: "AC1", Act: people.KeyAdd}); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`UPDATE audit SET act = 'x'`, `DELETE FROM audit`,
	} {
		if _, err := s.write.ExecContext(t.Context(), query); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", query, err)
		}
	}
	page, err := s.AuditPage(t.Context(), people.AuditFilter{Account: "AC1"})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Act != people.KeyAdd {
		t.Errorf("%+v %v", page, err)
	}
}
