// What both pages share: a log of what the SDK's app sees, and ears.
'use strict';
const query = new URLSearchParams(location.search);
const lab = { events: [], warnings: [], messages: [], device: null, call: null, incoming: null };
window.lab = lab;
lab.host = location.host;
lab.note = (name, value) => lab.events.push(value === undefined ? name : `${name} ${value}`);
lab.saw = (name) => lab.events.includes(name);
lab.sounds = Object.fromEntries(
  ['incoming', 'outgoing', 'disconnect', 'dtmf0', 'dtmf1', 'dtmf2', 'dtmf3', 'dtmf4', 'dtmf5', 'dtmf6', 'dtmf7', 'dtmf8', 'dtmf9', 'dtmfs', 'dtmfh']
    .map((name) => [name, '/sounds/silence.wav']));

// Every WebSocket of the page, so that a test can see what was sent, and the
// PeerConnections, to count packets. The SDKs stay as they are.
lab.sockets = [];
lab.frames = [];
window.WebSocket = class extends WebSocket {
  constructor(...a) {
    super(...a);
    lab.sockets.push(this);
    this.addEventListener('message', (m) => m.data !== '\n' && lab.frames.push('S ' + m.data));
  }
  send(data) {
    if (data !== '\n') lab.frames.push('C ' + data);
    super.send(data);
  }
};
lab.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...a) {
    super(...a);
    lab.peers.push(this);
  }
};

lab.received = async () => {
  const stats = await lab.peers[lab.peers.length - 1].getStats();
  for (const s of stats.values()) if (s.type === 'inbound-rtp') return { packets: s.packetsReceived, lost: s.packetsLost };
  return { packets: 0, lost: 0 };
};
// reported tells what the page knows by our reports alone: the round trip by what
// we heard of it, and how many packets we say that we sent.
lab.reported = async () => {
  const stats = await lab.peers[lab.peers.length - 1].getStats();
  const told = { trip: 0, lost: -1, sent: 0 };
  for (const s of stats.values()) {
    if (s.type === 'remote-inbound-rtp') Object.assign(told, { trip: s.roundTripTime ?? 0, lost: s.packetsLost });
    if (s.type === 'remote-outbound-rtp') told.sent = s.packetsSent;
  }
  return told;
};
lab.codec = async () => {
  const stats = await lab.peers[lab.peers.length - 1].getStats();
  for (const s of stats.values()) if (s.type === 'inbound-rtp' && s.codecId) return stats.get(s.codecId).mimeType;
  return '';
};

// hear returns the loudest frequency of what the page is told, and its level
// (root mean square, 1 is full scale), over half a second.
lab.hear = async () => {
  const pc = lab.peers[lab.peers.length - 1];
  const track = pc.getReceivers().map((r) => r.track).find((t) => t && t.kind === 'audio');
  const context = (lab.context ??= new AudioContext());
  await context.resume();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  analyser.smoothingTimeConstant = 0;
  source.connect(analyser);
  await new Promise((done) => setTimeout(done, 600));
  const bins = new Float32Array(analyser.frequencyBinCount);
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatFrequencyData(bins);
  analyser.getFloatTimeDomainData(wave);
  source.disconnect();
  let best = 0;
  for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
  // Parabola through the peak and its neighbours, in decibels.
  const [a, b, c] = [bins[best - 1] ?? bins[best], bins[best], bins[best + 1] ?? bins[best]];
  const shift = a - 2 * b + c === 0 ? 0 : (0.5 * (a - c)) / (a - 2 * b + c);
  return {
    hz: ((best + shift) * context.sampleRate) / analyser.fftSize,
    level: Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length),
  };
};
