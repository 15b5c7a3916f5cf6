// The vendor's own client SDK as a device that is told what to do, for tests of several devices at once.
//
//   node --experimental-websocket official_sdk_shell.mjs <proxy server> <SDKAppID>
//
// Each line of standard input is a call of the SDK, {"call": "createGroup", "with": {…}}; its outcome is a line of
// standard output, {"done": "createGroup", "data": …} or {"done": "createGroup", "code": 10036}. `login` is done when
// the SDK is ready, `sendText` makes a message and sends it, and "TYPES.…" stands for one of the SDK's constants. What
// happens by itself is a line, too: {"event": "kickedOut", "type": …}, {"event": "message", "from": …, "text": …}. The
// end of standard input ends the process. Everything that the SDK logs goes to standard error.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

console.log = console.info = console.debug = console.error;
process.on("unhandledRejection", (error) => say({ event: "unhandled", code: error?.code, message: error?.message }));

const [proxyServer, sdkAppId] = process.argv.slice(2);
const found = createRequire(`${process.cwd()}/`)("@tencentcloud/chat");
const TencentCloudChat = found.default ?? found;
const { EVENT, TYPES } = TencentCloudChat;

const chat = TencentCloudChat.create({ SDKAppID: Number(sdkAppId), proxyServer });
chat.setLogLevel(4);
chat.on(EVENT.KICKED_OUT, ({ data }) => say({ event: "kickedOut", type: data.type }));
chat.on(EVENT.ERROR, ({ data }) => say({ event: "sdkError", code: data.code, message: data.message }));
chat.on(EVENT.MESSAGE_RECEIVED, ({ data }) => {
  for (const { from, to, payload } of data) say({ event: "message", from, to, text: payload.text });
});

const ours = { login, sendText };

for await (const line of createInterface({ input: process.stdin })) {
  const { call, with: given } = JSON.parse(line, (_, value) => constant(value));
  try {
    // The SDK counts its arguments.
    const result = await (ours[call] ?? chat[call].bind(chat))(...(given === undefined ? [] : [given]));
    say({ done: call, data: told(result?.data) });
  } catch (error) {
    say({ done: call, code: error?.code ?? -1, message: String(error?.message ?? error) });
  }
}
process.exit(0);

async function login(user) {
  const ready = new Promise((resolve) => chat.on(EVENT.SDK_READY, resolve));
  await chat.login(user);
  await ready;
}

function sendText({ to, conversationType, text }) {
  return chat.sendMessage(chat.createTextMessage({ to, conversationType, payload: { text } }));
}

function constant(value) {
  return typeof value === "string" && value.startsWith("TYPES.") ? TYPES[value.slice("TYPES.".length)] : value;
}

// The SDK's objects hold half of its state; a test asks for little.
function told(data) {
  const { status, groupID, group, groupList } = data ?? {};
  const of = ({ groupID, type, name, ownerID, memberCount, selfInfo }) => ({
    groupID, type, name, ownerID, memberCount, role: selfInfo?.role,
  });
  return { status, groupID, group: group && of(group), groups: groupList?.map(of) };
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
