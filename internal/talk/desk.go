package talk

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/health"
	"dialtone/internal/voice/call"
)

// Devices says whether anybody would hear a call to a device. It must answer
// from memory.
type Devices interface {
	Reachable(account, identity string) bool
}

// Recordings is where the audio of recordings is kept, by the ids that the
// Desk chose in its call.Record instructions.
type Recordings interface {
	// Delete removes the audio; deleting what is not there is no error.
	Delete(id string) error
}

// Options is what a Desk is made of.
type Options struct {
	Store      Store
	Devices    Devices
	Recordings Recordings
	Events     *event.Subscription   // registrations of devices; nil: only Devices is asked
	Log        *slog.Logger          // nil: discard
	Metrics    prometheus.Registerer // nil: none
	Health     *health.Board         // nil: a board of its own
	SpoolDir   string                // where records wait while the store is away; "": in memory only
}

// Desk is the call centre of a node: the Director of all calls of its accounts.
type Desk struct {
	o Options
}

// New returns a Desk with the accounts, users and lines that the store holds.
func New(ctx context.Context, o Options) (*Desk, error) { return &Desk{o: o}, nil }

// Run serves until ctx is done, then ends all feeds and writes what waits.
// Calls must have ended before: what scripts post later is lost.
func (d *Desk) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Begin takes a new call; it implements the switchboard's Director.
func (d *Desk) Begin(o call.Offer, c call.Control) call.Script { return nil }

// Reload reads accounts, users and lines again; calls go on.
func (d *Desk) Reload(ctx context.Context) error { return nil }

// Subscribe begins a feed for the viewer; its first change is a snapshot.
func (d *Desk) Subscribe(ctx context.Context, v Viewer) (*Feed, error) { return nil, nil }

// Agents returns the agents of the account, by name.
func (d *Desk) Agents(ctx context.Context, account string) ([]Agent, error) { return nil, nil }

// Agent returns one agent; fault.NotFound when the account has none with the id.
func (d *Desk) Agent(ctx context.Context, account, id string) (Agent, error) { return Agent{}, nil }

// Lines returns the lines of the account, in the order they were added.
func (d *Desk) Lines(ctx context.Context, account string) ([]Line, error) { return nil, nil }

// SetState sets the agent's state; fault.Invalid for a state there is not.
func (d *Desk) SetState(ctx context.Context, account, agent string, s State) (Agent, error) {
	return Agent{}, nil
}

// Hold lets the other party of the viewer's live call hear music (on), or takes
// them back. id is the viewer's leg or the call. fault.NotFound when the viewer
// has no such call, fault.Conflict when it is not connected yet.
func (d *Desk) Hold(ctx context.Context, v Viewer, id string, on bool) error { return nil }

// HangUp ends a live call, by a leg's id or the call's; a call that only rings
// at the viewer is declined.
func (d *Desk) HangUp(ctx context.Context, v Viewer, id string) error { return nil }

// Calls returns a page of what the viewer may see of the history.
func (d *Desk) Calls(ctx context.Context, v Viewer, kind Kind, cursor string, limit int) (CallPage, error) {
	return CallPage{}, nil
}

// Call returns a call that has ended.
func (d *Desk) Call(ctx context.Context, v Viewer, id string) (Call, error) { return Call{}, nil }

// Missed returns what the viewer has missed and not yet seen, newest first.
func (d *Desk) Missed(ctx context.Context, v Viewer) ([]Missed, error) { return nil, nil }

// Seen marks a missed call of the viewer as seen.
func (d *Desk) Seen(ctx context.Context, v Viewer, id string) error { return nil }

// Voicemails returns a page of the messages on the viewer's lines.
func (d *Desk) Voicemails(ctx context.Context, v Viewer, cursor string, limit int) (VoicemailPage, error) {
	return VoicemailPage{}, nil
}

// Voicemail returns one message; whoever serves its audio asks here first.
func (d *Desk) Voicemail(ctx context.Context, v Viewer, id string) (Voicemail, error) {
	return Voicemail{}, nil
}

// Heard marks a message as heard by the viewer, or as new again.
func (d *Desk) Heard(ctx context.Context, v Viewer, id string, heard bool) error { return nil }

// DeleteVoicemail deletes a message and its audio.
func (d *Desk) DeleteVoicemail(ctx context.Context, v Viewer, id string) error { return nil }
