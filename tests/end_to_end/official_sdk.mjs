// Drives the vendor's own client SDK against a server of ours: log in, stay a while, log out.
//
//   npm install @tencentcloud/chat@3.6.6        in any folder; the SDK is looked up from the working directory
//   node --experimental-websocket official_sdk.mjs <proxy server> <SDKAppID> <userID> <userSig> [seconds]
//
// Node 22 and later need no flag. The proxy server is a WebSocket URL without a trailing slash, to which the SDK
// appends /binfo. Standard output is one JSON object a line: "net_state" whenever the connection changes, "ready"
// with the time since the start, "quiet" with what was sent while nothing was asked of the SDK, "logged_out"; or
// "error". Exit code 0 after an orderly logout, else 1. Everything that the SDK logs goes to standard error.

import { createRequire } from "node:module";
import { setTimeout as wait } from "node:timers/promises";

const READY_MS_MAX = 15_000;
const LOGOUT_MS_MAX = 5_000;

const [proxyServer, sdkAppId, userID, userSig, staySeconds = "12"] = process.argv.slice(2);
const startedAt = performance.now();
const traffic = { sockets: 0, frames_sent: 0, frames_received: 0, text_frames_sent: 0, sent: {} };

console.log = console.info = console.debug = console.error;
process.on("unhandledRejection", fail);

try {
  globalThis.WebSocket = counting(globalThis.WebSocket);
  await main();
  process.exit(0);
} catch (error) {
  fail(error);
}

async function main() {
  const chat = await loggedIn();
  report("ready", { user_id: userID, ...traffic });
  const before = structuredClone(traffic);
  await wait(Number(staySeconds) * 1000);
  report("quiet", { seconds: Number(staySeconds), ...difference(traffic, before) });
  await within(LOGOUT_MS_MAX, "logout", chat.logout());
  report("logged_out", { ...traffic });
}

async function loggedIn() {
  const { default: TencentCloudChat } = await sdk();
  const { EVENT } = TencentCloudChat;
  const chat = TencentCloudChat.create({ SDKAppID: Number(sdkAppId), proxyServer });
  chat.setLogLevel(4);
  chat.on(EVENT.NET_STATE_CHANGE, ({ data }) => report("net_state", { state: data.state }));
  chat.on(EVENT.KICKED_OUT, ({ data }) => fail(new Error(`kicked out: ${data.type}`)));
  chat.on(EVENT.ERROR, ({ data }) => report("sdk_error", { code: data.code, message: data.message }));
  const ready = new Promise((resolve) => chat.on(EVENT.SDK_READY, resolve));
  await within(READY_MS_MAX, "login", chat.login({ userID, userSig }));
  await within(READY_MS_MAX, "SDK_READY", ready);
  return chat;
}

// The SDK is no dependency of this repository: it is found from where the script is started.
async function sdk() {
  const found = createRequire(`${process.cwd()}/`)("@tencentcloud/chat");
  return found.default ? found : { default: found };
}

// The SDK hides its traffic, so the socket counts: a client that spins or reconnects shows here.
function counting(Socket) {
  if (!Socket) throw new Error("no WebSocket in this Node: use --experimental-websocket, or Node 22");
  return class extends Socket {
    constructor(...given) {
      super(...given);
      traffic.sockets += 1;
      this.addEventListener("message", () => (traffic.frames_received += 1));
    }

    send(frame) {
      const isText = typeof frame === "string";
      const command = JSON.parse(isText ? frame : new TextDecoder().decode(frame)).head.servcmd;
      traffic.frames_sent += 1;
      traffic.text_frames_sent += isText ? 1 : 0;
      traffic.sent[command] = (traffic.sent[command] ?? 0) + 1;
      super.send(frame);
    }
  };
}

function difference(now, before) {
  const numbers = Object.entries(now).filter(([, count]) => typeof count === "number");
  const sent = Object.entries(now.sent).map(([command, count]) => [command, count - (before.sent[command] ?? 0)]);
  return {
    ...Object.fromEntries(numbers.map(([name, count]) => [name, count - before[name]])),
    sent: Object.fromEntries(sent.filter(([, count]) => count > 0)),
  };
}

async function within(milliseconds, what, promise) {
  const late = wait(milliseconds, undefined, { ref: false }).then(() => {
    throw new Error(`${what}: no answer within ${milliseconds} ms`);
  });
  return Promise.race([promise, late]);
}

function report(event, fields) {
  const at_ms = Math.round(performance.now() - startedAt);
  process.stdout.write(`${JSON.stringify({ event, at_ms, ...fields })}\n`);
}

function fail(error) {
  report("error", { code: error?.code ?? null, message: String(error?.message ?? error), ...traffic });
  process.exit(1);
}
