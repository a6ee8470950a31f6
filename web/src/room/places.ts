// The places of a connection, each with its transform from the very beginning: what a pair's connection and the one to the
// forwarder have in common.
//
// Fail closed: a transform is set in the very task in which its sender or receiver comes to be (later ones are ignored by
// Chromium, and frames would leave as they are), and Chromium is told beforehand that there will be transforms, without which
// it sends nothing then. Places are send-only or receive-only: on two-way ones Chromium overlooks the receiver's.

import type { TransformOptions } from "./member";
import { CAMERA, LAYERS, SLOT, SLOTS, VOICE, layersOf, sealable, shareBits, type Caps } from "./slots";

/** What is sent to everybody. */
export type Outgoing = { tracks: (MediaStreamTrack | null)[]; share: Caps & { degrade: RTCDegradationPreference } };

/** `encodedInsertableStreams` is Chromium's; others ignore it. */
type Configuration = RTCConfiguration & { encodedInsertableStreams: boolean };
type Transform = new (worker: Worker, options: TransformOptions) => RTCRtpScriptTransform;

export function newConnection(iceServers: RTCIceServer[]): RTCPeerConnection {
  const configuration: Configuration = { iceServers, bundlePolicy: "max-bundle", encodedInsertableStreams: true };
  return new RTCPeerConnection(configuration);
}

let layered: boolean | undefined;

/** What is sent of a camera to whoever can choose: its layers, in a browser that makes some of VP9. Firefox makes none. */
export function cameraLayers(): RTCRtpEncodingParameters[] {
  const layers = layersOf(Infinity);
  if (layered === undefined) {
    const probe = new RTCPeerConnection();
    const { encodings } = probe.addTransceiver("video", { direction: "sendonly", sendEncodings: layers }).sender.getParameters();
    probe.close();
    layered = encodings.length === LAYERS.length && encodings.every((encoding) => "scalabilityMode" in encoding);
  }
  return layered ? layers : [{ active: true }];
}

/** Not one step between the place's beginning and this may be waited for. */
export function toSend(place: RTCRtpTransceiver, worker: Worker, options: TransformOptions & { side: "send" }): void {
  place.sender.transform = transform(worker, options);
  place.direction = "sendonly";
  choose(place, options.slot);
}

/** As above. */
export function toReceive(place: RTCRtpTransceiver, worker: Worker, options: TransformOptions & { side: "receive" }): void {
  place.receiver.transform = transform(worker, options);
  place.direction = "recvonly";
  choose(place, options.slot);
}

const transform = (worker: Worker, options: TransformOptions) => new (RTCRtpScriptTransform as unknown as Transform)(worker, options);

function choose(place: RTCRtpTransceiver, slot: number): void {
  const kind = SLOTS[slot]?.kind ?? "audio";
  const codecs = sealable(kind, RTCRtpReceiver.getCapabilities(kind)?.codecs ?? []);
  // An empty list would stand for whatever the browser likes.
  if (codecs.length === 0) throw { code: "room_no_codec", message: "" };
  place.setCodecPreferences(codecs as RTCRtpCodec[]);
}

/** Puts tracks into their places, within the limits that go with them. */
export async function put(senders: readonly RTCRtpSender[], outgoing: Outgoing): Promise<void> {
  for (const [slot, sender] of senders.entries()) {
    const track = outgoing.tracks[slot] ?? null;
    if (sender.track !== track) await sender.replaceTrack(track);
  }
  await limit(senders, outgoing);
}

export async function limit(senders: readonly RTCRtpSender[], { tracks, share }: Outgoing): Promise<void> {
  const screen = tracks[SLOT.screen]?.getSettings().height;
  const most = [
    { maxBitrate: VOICE, priority: "high" as const },
    { maxBitrate: CAMERA.video, maxFramerate: CAMERA.fps },
    { maxBitrate: shareBits(share, screen), maxFramerate: share.fps },
    { maxBitrate: share.audio },
  ];
  for (const [slot, sender] of senders.entries()) {
    const parameters = sender.getParameters();
    const [encoding, ...more] = parameters.encodings;
    // Before the first answer there is none.
    if (!encoding) continue;
    if (more.length === 0) Object.assign(encoding, most[slot]);
    else {
      const { width = 0, height = 0 } = tracks[slot]?.getSettings() ?? {};
      for (const [at, layer] of layersOf(width * height).entries()) Object.assign(parameters.encodings[at] ?? {}, layer);
    }
    if (slot === SLOT.screen) parameters.degradationPreference = share.degrade;
    // A browser that takes a limit less still sends no more than its estimate of the network.
    await sender.setParameters(parameters).catch(() => undefined);
  }
}
