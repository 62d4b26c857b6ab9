package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"dialtone/internal/fault"
)

func TestWhatIsShownAndWhatIsNot(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:5432: refused")
	err := fmt.Errorf("list calls: %w", fault.Wrap(fault.Unavailable, secret, "The history cannot be read now."))
	if fault.KindOf(err) != fault.Unavailable || fault.Message(err) != "The history cannot be read now." {
		t.Errorf("%v: %s", fault.KindOf(err), fault.Message(err))
	}
	if !errors.Is(err, secret) || !strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("the log does not get the cause: %v", err)
	}
	for _, plain := range []error{secret, fault.Wrap(fault.Internal, secret, "table calls is gone")} {
		if fault.KindOf(plain) != fault.Internal || strings.Contains(fault.Message(plain), "10.1") || strings.Contains(fault.Message(plain), "table") {
			t.Errorf("%v is shown as %q", plain, fault.Message(plain))
		}
	}
}
