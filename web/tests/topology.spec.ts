// Which way media goes is a function of what every member knows, and so all of them come to the same answer.

import { expect, test } from "@playwright/test";
import { BACK_AFTER_MS, Topology, forwarderOver, linkOver, linkWanted, readSaid, wanted, type Facts, type Pair } from "../src/room/topology";
import { withoutAddresses, withoutStrays } from "../src/room/sdp";
import { readSignal } from "../src/room/signal";

const facts = (more: Partial<Facts> = {}): Facts => ({ seats: 2, lines: 0, hidden: false, pathless: false, forwarder: true, ...more });
const pair = (more: Partial<Pair> = {}): Pair => ({ way: "forwarder", hidden: false, seen: "forwarder", own: "a", said: { way: "forwarder", forwarded: ["a"], pathless: false }, ...more });

test("four are a mesh and five are not, nor are four of whom one shares a large screen", () => {
  expect(wanted(facts({ seats: 4 }))).toBe("mesh");
  expect(wanted(facts({ seats: 5 }))).toBe("forwarder");
  expect(wanted(facts({ seats: 4, lines: 1080 }))).toBe("forwarder");
  expect(wanted(facts({ seats: 4, lines: 720 }))).toBe("mesh");
  expect(wanted(facts({ seats: 3, lines: 2160 }))).toBe("mesh");
  expect(wanted(facts({ pathless: true }))).toBe("forwarder");
  expect(wanted(facts({ seats: 9, pathless: true, forwarder: false }))).toBe("mesh");
});

test("a room that hides addresses is never a mesh, not even without a forwarder", () => {
  expect(wanted(facts({ hidden: true }))).toBe("forwarder");
  expect(wanted(facts({ hidden: true, forwarder: false }))).toBe("forwarder");
  for (const way of ["mesh", "forwarder"] as const) expect(linkWanted(pair({ way, hidden: true, said: { way: "mesh", forwarded: [], pathless: false } }))).toBe(false);
});

test("to the forwarder at once, and back only after a while", () => {
  const topology = new Topology();
  expect(topology.decide(facts({ seats: 4 }), 0)).toBe("mesh");
  expect(topology.decide(facts({ seats: 5 }), 1)).toBe("forwarder");
  expect(topology.decide(facts({ seats: 4 }), 2)).toBe("forwarder");
  expect(topology.decide(facts({ seats: 5 }), BACK_AFTER_MS + 1)).toBe("forwarder");
  expect(topology.decide(facts({ seats: 4 }), BACK_AFTER_MS + 2)).toBe("forwarder");
  expect(topology.decide(facts({ seats: 4 }), 2 * BACK_AFTER_MS + 2)).toBe("mesh");
  expect(topology.decide(facts({ seats: 5 }), 3 * BACK_AFTER_MS)).toBe("forwarder");
  // Nothing to stay with.
  expect(topology.decide(facts({ seats: 5, forwarder: false }), 3 * BACK_AFTER_MS + 1)).toBe("mesh");
});

test("a way is given up only when both sides see each other by the other one", () => {
  expect(linkOver(pair())).toBe(true);
  expect(linkOver(pair({ seen: "mesh" }))).toBe(false);
  expect(linkOver(pair({ said: { way: "forwarder", forwarded: ["b"], pathless: false } }))).toBe(false);
  expect(linkOver(pair({ said: { way: "mesh", forwarded: ["a"], pathless: false } }))).toBe(false);
  expect(linkOver(pair({ said: null }))).toBe(false);
  // Who cannot reach the forwarder keeps connections of their own.
  expect(linkWanted(pair({ said: { way: "mesh", forwarded: [], pathless: false } }))).toBe(true);
  expect(linkWanted(pair())).toBe(false);
  const back = pair({ way: "mesh", seen: "mesh", said: { way: "mesh", forwarded: [], pathless: false } });
  expect(forwarderOver([back, back])).toBe(true);
  expect(forwarderOver([back, { ...back, seen: "forwarder" }])).toBe(false);
  expect(forwarderOver([back, { ...back, said: { way: "mesh", forwarded: ["a"], pathless: false } }])).toBe(false);
  expect(forwarderOver([back, { ...back, said: { way: "forwarder", forwarded: [], pathless: false } }])).toBe(false);
});

test("what others say is read for what it is", () => {
  expect(readSaid({})).toEqual({ way: "mesh", forwarded: [], pathless: false });
  expect(readSaid({ way: "forwarder", forwarded: ["a", 7, null], pathless: 1 })).toEqual({ way: "forwarder", forwarded: ["a"], pathless: false });
  expect(readSignal("[]")).toBeNull();
  expect(readSignal("{")).toBeNull();
  expect(readSignal("null")).toBeNull();
  expect(readSignal('{"type":"closed","why":"lost"}')).toEqual({ type: "closed", why: "lost" });
});

test("no address of one's own is in what the forwarder is told, and everything else is", () => {
  const sdp = ["o=- 1 2 IN IP4 127.0.0.1", "m=audio 50123 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 192.0.2.7", "a=rtcp:9 IN IP4 192.0.2.7", "a=candidate:1 1 udp 1 192.0.2.7 50123 typ host", "a=end-of-candidates", "a=mid:0", "a=rtcp-mux", "a=rtcp-fb:111 transport-cc", ""].join("\r\n");
  expect(withoutAddresses(sdp)).toBe(["o=- 1 2 IN IP4 127.0.0.1", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=mid:0", "a=rtcp-mux", "a=rtcp-fb:111 transport-cc", ""].join("\r\n"));
});

test("what a section says of codecs that it does not name is left out", () => {
  const section = (more: string[]) => ["m=video 0 UDP/TLS/RTP/SAVPF 121 125", "a=rtpmap:121 VP9/90000", "a=rtcp-fb:121 nack", ...more, "a=rtcp-fb:* transport-cc", "a=fmtp:125 apt=121", ""].join("\r\n");
  const audio = ["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 99", "a=rtcp-fb:99 transport-cc", ""].join("\r\n");
  expect(withoutStrays(audio + section(["a=rtcp-fb:99 nack", "a=rtcp-fb:12 nack", "a=fmtp:126 apt=99"]))).toBe(audio + section([]));
});
