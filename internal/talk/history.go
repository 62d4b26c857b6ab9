package talk

import (
	"context"
	"slices"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
)

// linesOf returns the ids of the lines whose records the viewer may see.
func (d *Desk) linesOf(ctx context.Context, v Viewer) (ids []string, err error) {
	err = d.inBranch(ctx, v.Account, func(b *branch) error {
		ids = b.linesOf(v)
		return nil
	})
	return ids, err
}

// Calls returns a page of what the viewer may see of the history.
func (d *Desk) Calls(ctx context.Context, v Viewer, kind Kind, cursor string, limit int) (CallPage, error) {
	if kind == "" {
		kind = KindAll
	}
	if !kind.Valid() {
		return CallPage{}, fault.New(fault.Invalid, "The kind is one of all, inbound, outbound, missed and voicemail.")
	}
	filter := CallFilter{Account: v.Account, Kind: kind, Cursor: cursor, Limit: limit}
	if !v.Role.Leads() {
		lines, err := d.linesOf(ctx, v)
		if err != nil {
			return CallPage{}, err
		}
		filter.Agent, filter.Lines = v.User, lines
	}
	return d.o.Store.Calls(ctx, filter)
}

// Call returns a call that has ended.
func (d *Desk) Call(ctx context.Context, v Viewer, id string) (Call, error) {
	k, err := d.o.Store.Call(ctx, v.Account, call.ID(id))
	if err != nil {
		return Call{}, err
	}
	visible := false
	if err := d.inBranch(ctx, v.Account, func(b *branch) error {
		visible = b.maySee(v, k)
		return nil
	}); err != nil {
		return Call{}, err
	}
	if !visible {
		return Call{}, fault.New(fault.NotFound, "There is no such call.")
	}
	return k, nil
}

// Missed returns what the viewer has missed and not yet seen, newest first.
func (d *Desk) Missed(ctx context.Context, v Viewer) (missed []Missed, err error) {
	err = d.inBranch(ctx, v.Account, func(b *branch) error {
		missed = append([]Missed{}, b.unseen[v.User]...)
		return nil
	})
	return missed, err
}

// Seen marks a missed call of the viewer as seen.
func (d *Desk) Seen(ctx context.Context, v Viewer, id string) error {
	if err := d.o.Store.SeeMissed(ctx, v.Account, v.User, id); err != nil {
		return err
	}
	return d.inBranch(ctx, v.Account, func(b *branch) error {
		b.unseen[v.User] = slices.DeleteFunc(slices.Clone(b.unseen[v.User]), func(m Missed) bool { return m.ID == id })
		return nil
	})
}

// Voicemails returns a page of the messages on the viewer's lines.
func (d *Desk) Voicemails(ctx context.Context, v Viewer, cursor string, limit int) (VoicemailPage, error) {
	filter := VoicemailFilter{Account: v.Account, Cursor: cursor, Limit: limit}
	if !v.Role.Leads() {
		lines, err := d.linesOf(ctx, v)
		if err != nil {
			return VoicemailPage{}, err
		}
		filter.Lines = lines
	}
	return d.o.Store.Voicemails(ctx, filter)
}

// Voicemail returns one message; whoever serves its audio asks here first.
func (d *Desk) Voicemail(ctx context.Context, v Viewer, id string) (Voicemail, error) {
	m, err := d.o.Store.Voicemail(ctx, v.Account, id)
	if err != nil || v.Role.Leads() {
		return m, err
	}
	lines, err := d.linesOf(ctx, v)
	if err != nil {
		return Voicemail{}, err
	}
	if !slices.Contains(lines, m.Line) {
		return Voicemail{}, fault.New(fault.NotFound, "There is no such message.")
	}
	return m, nil
}

// Heard marks a message as heard by the viewer, or as new again.
func (d *Desk) Heard(ctx context.Context, v Viewer, id string, heard bool) error {
	if _, err := d.Voicemail(ctx, v, id); err != nil {
		return err
	}
	changed, err := d.o.Store.HearVoicemail(ctx, v.Account, id, heard, v.Name)
	if err != nil || !changed {
		return err
	}
	m, err := d.o.Store.Voicemail(ctx, v.Account, id)
	if err != nil {
		return err
	}
	return d.recount(ctx, v.Account, &m)
}

// DeleteVoicemail deletes a message and its audio.
func (d *Desk) DeleteVoicemail(ctx context.Context, v Viewer, id string) error {
	if _, err := d.Voicemail(ctx, v, id); err != nil {
		return err
	}
	// The audio goes first: an index entry without audio can be deleted again,
	// audio without an entry would stay for ever.
	if d.o.Recordings != nil {
		if err := d.o.Recordings.Delete(id); err != nil {
			return fault.Wrap(fault.Unavailable, err, "The message's audio cannot be deleted now. Try again later.")
		}
	}
	if err := d.o.Store.DeleteVoicemail(ctx, v.Account, id); err != nil {
		return err
	}
	return d.recount(ctx, v.Account, nil)
}

// recount reads how many messages are unheard, and tells about m, if any.
func (d *Desk) recount(ctx context.Context, account string, m *Voicemail) error {
	d.unheardMu.Lock()
	defer d.unheardMu.Unlock()
	counts, err := d.o.Store.Unheard(ctx, account)
	if err != nil {
		return err
	}
	return d.inBranch(ctx, account, func(b *branch) error {
		b.unheard = counts
		if m != nil {
			d.floor.tellVoicemail(b, *m)
		}
		return nil
	})
}
