// Package talk is the call centre: a Director of calls made of lines, agents,
// queues and voicemail, and what is kept of them.
//
// A Desk owns the living state (who is reachable, who waits, who talks) in one
// goroutine, started by Run. Begin and the Scripts it returns post into it and
// never block; the other methods may be called from any goroutine and wait for
// that goroutine, or for the store, no longer than their context allows. The
// Desk answers calls from memory: a store that is away delays records, which
// are spooled, and never a call.
//
// What a caller meets, in order:
//
//   - An agent is free: the caller is not answered yet and hears ringback while
//     the longest-idle agent's devices ring, then the next agent's. The call is
//     answered when an agent answers, so nobody pays for ringing. After
//     MaxUnanswered the call is answered and the search goes on with hold music,
//     because carriers give up on calls that only ring.
//   - Nobody is free, but somebody may become so (on a call, away, or without a
//     device since less than Grace): the caller is answered and waits with hold
//     music, at most the line's MaxWait; key 1 leads to voicemail.
//   - Nobody can be expected, or everybody offered has missed or declined: voicemail
//     with the line's greeting, or a closing word where the line has none.
//
// An agent is offered one call at a time, a caller is offered to an agent at
// most once, and an agent who cannot be reached is not offered at all. The Desk
// never decides about codecs, carriers or devices; it says what is wanted in
// the words of voice/call.
package talk
