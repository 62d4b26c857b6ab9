// Writes tokens.json: tokens made by the vendor's own helper library for fixed
// keys, grants and times. Run in a folder where `npm install twilio@6.2.0` was
// run:  node generate.js > tokens.json
const now = 1763830000; // 2025-11-22T16:46:40Z
const RealDate = Date;
global.Date = class extends RealDate {
  constructor(...a) { a.length ? super(...a) : super(now * 1000); }
  static now() { return now * 1000; }
};
const AccessToken = require("twilio/lib/jwt/AccessToken");
const capability = require("twilio/lib/jwt/ClientCapability");

const account = "AC0123456789abcdef0123456789abcdef";
const keys = {
  HS256: { id: "SK00000000000000000000000000000256", secret: "an API key's secret, HS256, 32 b" },
  HS384: { id: "SK00000000000000000000000000000384", secret: "an API key's secret, HS384, 32 b" },
  HS512: { id: "SK00000000000000000000000000000512", secret: "an API key's secret, HS512, 32 b" },
};
const authToken = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const app = "AP00000000000000000000000000000001";
const names = ["bob", "bobo", "bobob", "who?", "who??", "who???", "a>b", "a~b~c", "~~~", "???", ">>>",
  "é", "été", "日本", "日本語?", "alice@example.com", "Ann O'Neil (sales) 100%", "a+b c&d=e;f", "quote\"back\\slash/", "😀"];

const tokens = [];
for (const identity of names) {
  for (const [algorithm, key] of Object.entries(keys)) {
    if (algorithm !== "HS256" && identity.length > 4) continue;
    const t = new AccessToken(account, key.id, key.secret, { identity, ttl: 3600 });
    t.addGrant(new AccessToken.VoiceGrant({ incomingAllow: true, outgoingApplicationSid: app }));
    tokens.push({ kind: "access", algorithm, identity, incoming: true, outgoing: true, params: {}, text: t.toJwt(algorithm) });
  }
  for (const params of [undefined, { foo: "bar", note: "a b&c=d?~>é%" }]) {
    const t = new capability.default({ accountSid: account, authToken, ttl: 3600 });
    t.addScope(new capability.OutgoingClientScope({ applicationSid: app, clientName: identity, params }));
    t.addScope(new capability.IncomingClientScope(identity));
    tokens.push({ kind: "capability", algorithm: "HS256", identity, incoming: true, outgoing: true, params: params || {}, hasParams: !!params, text: t.toJwt() });
  }
}
{
  const key = keys.HS256;
  let t = new AccessToken(account, key.id, key.secret, { identity: "everything", ttl: 60, nbf: now - 10, region: "ie1" });
  t.addGrant(new AccessToken.ChatGrant({ serviceSid: "IS1" }));
  t.addGrant(new AccessToken.VoiceGrant({
    incomingAllow: true, outgoingApplicationSid: app, outgoingApplicationParams: { b: "2?", a: "1" },
    pushCredentialSid: "CR1", endpointId: "desk",
  }));
  tokens.push({ kind: "access", algorithm: "HS256", identity: "everything", special: true, incoming: true, outgoing: true, params: { a: "1", b: "2?" }, text: t.toJwt() });
  t = new AccessToken(account, key.id, key.secret, { identity: "listener", ttl: 3600 });
  t.addGrant(new AccessToken.VoiceGrant({ incomingAllow: true }));
  tokens.push({ kind: "access", algorithm: "HS256", identity: "listener", special: true, incoming: true, outgoing: false, params: {}, text: t.toJwt() });
  t = new capability.default({ accountSid: account, authToken, ttl: 3600 });
  t.addScope(new capability.EventStreamScope({ q: "1" }));
  t.addScope(new capability.OutgoingClientScope({ applicationSid: app }));
  tokens.push({ kind: "capability", algorithm: "HS256", identity: "", special: true, incoming: false, outgoing: true, params: {}, text: t.toJwt() });
}
console.log(JSON.stringify({ origin: "npm twilio 6.2.0 (MIT), by generate.js beside this file", now, account, keys, authToken, app, tokens }, null, 1));
