// What both pages share. Nothing here touches the SDK.
'use strict';
const app = { events: [], device: null, incoming: null, host: new URLSearchParams(location.search).get('node') };
window.app = app;
app.note = (name) => app.events.push({ name, at: performance.timeOrigin + performance.now() });
app.saw = (name) => app.events.some((e) => e.name === name);
app.when = (name) => app.events.findLast((e) => e.name === name)?.at ?? 0;
app.count = (name) => app.events.filter((e) => e.name === name).length;
app.clear = () => { app.events = []; app.incoming = null; };
app.sounds = Object.fromEntries(
  ['incoming', 'outgoing', 'disconnect', 'dtmf0', 'dtmf1', 'dtmf2', 'dtmf3', 'dtmf4', 'dtmf5', 'dtmf6', 'dtmf7', 'dtmf8', 'dtmf9', 'dtmfs', 'dtmfh']
    .map((name) => [name, '/silence.wav']));
app.options = { chunderw: app.host, sounds: app.sounds };

app.listen = (device) => {
  app.device = device;
  device.on('error', (e) => app.note(`error ${e.code}`));
  device.on('incoming', (call) => {
    app.incoming = call;
    app.note('incoming');
    call.on('cancel', () => app.note('cancel'));
  });
  for (const name of ['registered', 'unregistered', 'ready', 'offline']) device.on(name, () => app.note(name));
  return device;
};
app.stop = () => {
  app.leave?.();
  app.leave = null;
  app.device?.destroy();
  app.device = null;
};

// What keep-registered.js is given: the test's site makes tokens.
app.way = (kind, name) => async (failed) => {
  const answer = await fetch('/token?' + new URLSearchParams({ kind, name }));
  if (!answer.ok) throw new Error(`${kind}: ${answer.status}`);
  app.note(`asked ${kind}` + (failed ? ` after ${failed.way} ${failed.code}` : ''));
  return answer.text();
};
