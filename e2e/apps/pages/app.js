// What both pages share: a log of what the app is told, and ears. Nothing here
// touches the SDK; the PeerConnections are only listened to.
'use strict';
const app = { events: [], device: null, call: null, incoming: null, peers: [], frames: [] };
window.app = app;
app.host = new URLSearchParams(location.search).get('node');
app.note = (name, value) => app.events.push(value === undefined ? name : `${name} ${value}`);
app.saw = (name) => app.events.includes(name);
app.clear = () => { app.events = []; app.frames = []; app.call = app.incoming = null; };
app.sounds = Object.fromEntries(
  ['incoming', 'outgoing', 'disconnect', 'dtmf0', 'dtmf1', 'dtmf2', 'dtmf3', 'dtmf4', 'dtmf5', 'dtmf6', 'dtmf7', 'dtmf8', 'dtmf9', 'dtmfs', 'dtmfh']
    .map((name) => [name, '/silence.wav']));
// A steady tone is what noise suppression takes away.
app.microphone = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...a) {
    super(...a);
    app.peers.push(this);
  }

  // A browser that knows only the codecs in app.codecs: it offers no other, and
  // does not see others that it is offered.
  createOffer(...a) {
    if (app.codecs) {
      const known = RTCRtpReceiver.getCapabilities('audio').codecs.filter((c) => app.knows(c.mimeType.slice('audio/'.length)));
      for (const t of this.getTransceivers()) t.setCodecPreferences(known);
    }
    return super.createOffer(...a);
  }

  setRemoteDescription(d, ...a) {
    if (!app.codecs || d.type !== 'offer') return super.setRemoteDescription(d, ...a);
    const unknown = [...d.sdp.matchAll(/^a=rtpmap:(\d+) ([^/]+)/gm)].filter((m) => !app.knows(m[2])).map((m) => m[1]);
    const sdp = d.sdp
      .replace(/^(m=audio \d+ \S+ )(.*)$/m, (_, head, types) => head + types.trim().split(' ').filter((t) => !unknown.includes(t)).join(' '))
      .replace(/^a=(?:rtpmap|fmtp):(\d+) .*\r\n/gm, (line, type) => (unknown.includes(type) ? '' : line));
    return super.setRemoteDescription({ type: d.type, sdp }, ...a);
  }
};
window.WebSocket = class extends WebSocket {
  send(data) {
    app.frames.push(data);
    super.send(data);
  }
};
app.knows = (name) => [...app.codecs, 'telephone-event'].some((c) => c.toLowerCase() === name.toLowerCase());
app.sent = (type) => app.frames.some((f) => f.includes(`"type":"${type}"`));

// The events of a call are the same in both SDKs.
app.watch = (call) => {
  for (const name of ['accept', 'cancel', 'disconnect', 'reject']) call.on(name, () => app.note(name));
  call.on('ringing', (early) => app.note('ringing', early));
  call.on('error', (e) => app.note('error', e.code));
  app.call = call;
  return call;
};
app.accept = (digits) => {
  if (digits) app.incoming.on('accept', (call) => (call ?? app.incoming).sendDigits(digits));
  app.take(app.incoming);
};
app.reject = () => app.incoming.reject();
app.hangUp = () => app.call.disconnect();
app.digits = (s) => app.call.sendDigits(s);
app.isOpen = () => app.call?.status() === 'open';
app.parameter = (name) => app.incoming.customParameters.get(name) ?? null;

// listen attaches ears to what the latest call is told.
app.listen = async () => {
  const pc = app.peers[app.peers.length - 1];
  const track = pc?.getReceivers().map((r) => r.track).find((t) => t?.kind === 'audio');
  if (!track) return null;
  if (!app.context) {
    app.context = new AudioContext();
    await app.context.audioWorklet.addModule('/ear.js');
  }
  const context = app.context;
  await context.resume();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
  const ear = new AudioWorkletNode(context, 'ear');
  source.connect(analyser);
  source.connect(ear).connect(context.destination);
  const heard = () => new Promise((done) => {
    ear.port.onmessage = (e) => done(e.data);
    ear.port.postMessage('tell');
  });
  return { pc, context, analyser, heard, close: () => { source.disconnect(); ear.disconnect(); } };
};

// spoken names the codecs of the latest call, of what it sends and what it is told.
app.spoken = async () => {
  const stats = await app.peers[app.peers.length - 1].getStats();
  const of = (type) => stats.get([...stats.values()].find((s) => s.type === type)?.codecId)?.mimeType;
  return `${of('outbound-rtp')} ${of('inbound-rtp')}`;
};

// hear listens for that many seconds: hz is the loudest frequency, level its root
// mean square (1 is full scale), quiet the longest silence between two sounds in
// ms, in what the page is given to play. Where packets are missing the browser
// makes sound up and no silence is heard: concealed is how much that was in all,
// hole the longest stretch of it.
app.hear = async (seconds) => {
  const ears = await app.listen();
  if (!ears) return { hz: 0, level: 0 };
  const { pc, context, analyser } = ears;
  const inbound = async () => [...(await pc.getStats()).values()].find((s) => s.type === 'inbound-rtp') ?? {};
  const first = await inbound();
  let last = first;
  let run = 0;
  let hole = 0;
  const rate = (s) => (s.totalSamplesDuration ? s.totalSamplesReceived / s.totalSamplesDuration : 8000);
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await new Promise((done) => setTimeout(done, 50));
    const now = await inbound();
    const more = now.concealedSamples - last.concealedSamples;
    run = more > 0 ? run + more : 0;
    hole = Math.max(hole, run);
    last = now;
  }
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const heard = await ears.heard();
  ears.close();
  let best = 1;
  for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
  // A parabola through the peak and its neighbours, in decibels.
  const [a, b, c] = [bins[best - 1], bins[best], bins[best + 1] ?? bins[best]];
  const shift = a - 2 * b + c === 0 ? 0 : (0.5 * (a - c)) / (a - 2 * b + c);
  const ms = (samples) => (1000 * samples) / rate(last);
  return {
    hz: Number.isFinite(b) ? ((best + shift) * context.sampleRate) / analyser.fftSize : 0,
    level: heard.level, quiet: heard.quiet, seconds: heard.seconds,
    concealed: ms(last.concealedSamples - first.concealedSamples), hole: ms(hole),
    packets: last.packetsReceived - first.packetsReceived, lost: last.packetsLost - first.packetsLost,
    buffered: (1000 * (last.jitterBufferDelay - first.jitterBufferDelay)) / (last.jitterBufferEmittedCount - first.jitterBufferEmittedCount) || 0,
  };
};
