// Keeps a device of the Voice SDK registered: when its token is refused, it asks
// the next of several ways for another, without a person. For @twilio/voice-sdk 2
// and twilio-client 1, unmodified; it needs nothing else. Copy it.
//
//   const device = new Twilio.Device('', { chunderw: 'phone.example.com' }); // version 2
//   const stop = keepRegistered(device, [ticket, accessToken]);
//
//   const device = new Twilio.Device(); // version 1
//   const stop = keepRegistered(device, [accessToken], { setup: { chunderw: 'phone.example.com' } });
//
// Each way is an async function that resolves to a fresh token. It is given what
// failed just before, { way, code, error }, or undefined: `way` is its place in
// the list, `code` the SDK's error code; 0: no token was to be had in time, or
// nobody answered to it. `failed`, if given, is told the same of every failure.
// Call stop() before you unregister or destroy the device.

const refused = new Set([
  20101, 20102, 20103, 20104, 20105, 20106, 20107, 20151, 20157, // as version 2 says it
  31201, 31202, 31203, 31204, 31205, 31207, // as version 1 says it, and version 2 within
]);
const over = new Set([20104, 31205]); // was good once: a used ticket, a token whose time is over

export function keepRegistered(device, ways, { setup, failed, patience = 3000, pause = 1000, longest = 30000 } = {}) {
  const old = typeof device.setup === 'function'; // version 1
  let turn = 0; // counts tokens asked for
  let at = 0; // the way of the last one
  let tried = 0; // ways that failed since all was well
  let again = true; // a token that is over may be replaced by its own way, once
  let wait = pause;
  let last; // what failed
  let asking = false; // the token that the SDK has is given up
  let away = false; // the SDK has no connection right now, and is making one
  let started = false;
  let stopped = false;
  let timer;

  const later = (ms, then) => { clearTimeout(timer); timer = setTimeout(then, ms); };
  const registered = () => started && (old ? device.status() !== 'offline' : device.state === 'registered');
  const well = () => { clearTimeout(timer); turn++; asking = false; tried = 0; again = true; wait = pause; last = undefined; };
  const judge = () => (registered() ? well() : fail(0, new Error('not registered in time')));

  async function show(way) {
    const mine = ++turn;
    at = way;
    asking = true;
    later(patience, () => fail(0, new Error('no token in time')));
    let token;
    try {
      token = await ways[way](last);
    } catch (error) {
      if (mine === turn) fail(0, error);
      return;
    }
    if (stopped || mine !== turn || device.state === 'destroyed') return;
    later(patience, judge);
    asking = away = false;
    if (old && !started) device.setup(token, setup);
    else device.updateToken(token); // says 31009 when there is no connection
    started = true;
    if (!old && !away && device.state === 'unregistered') device.register().catch(() => {}); // `error` says why
  }

  function fail(code, error) {
    if (stopped) return;
    last = { way: at, code, error };
    failed?.(last);
    if (over.has(code) && again) {
      again = false;
      show(at);
      return;
    }
    again = true;
    asking = true;
    if (++tried % ways.length) {
      show((at + 1) % ways.length);
      return;
    }
    later(wait * (0.8 + 0.4 * Math.random()), () => show(0)); // all of them failed
    wait = Math.min(2 * wait, longest);
  }

  const listeners = {
    error(error, call) {
      if (call || error.connection) return; // about a call
      const codes = [error.code, error.originalError?.code, error.twilioError?.code];
      away ||= codes.includes(31009);
      // 31005 with a time to wait: the server could not check the token.
      const unchecked = error.retryAfter ?? error.originalError?.retryAfter;
      const code = codes.find((c) => refused.has(c)) ?? (unchecked && error.code);
      if (code && !asking) fail(code, error);
    },
    [old ? 'ready' : 'registered']: well,
    // When only the connection was lost, the SDK comes back by itself.
    [old ? 'offline' : 'unregistered']: () => asking || later(patience, judge),
    tokenWillExpire() {
      tried = 0;
      show(0);
    },
  };
  for (const [event, listener] of Object.entries(listeners)) device.on(event, listener);
  show(0);
  return () => {
    stopped = true;
    clearTimeout(timer);
    for (const [event, listener] of Object.entries(listeners)) device.removeListener(event, listener);
  };
}
