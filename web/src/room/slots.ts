// What a seat sends: four tracks, each in a place of its own on every connection, so that nothing has to be negotiated
// again when one begins or ends. The number of a place is the number of the track in its frames' key.

export const SLOTS = [
  { name: "mic", kind: "audio" },
  { name: "camera", kind: "video" },
  { name: "screen", kind: "video" },
  { name: "sound", kind: "audio" },
] as const;
export type SlotName = (typeof SLOTS)[number]["name"];
export const SLOT = { mic: 0, camera: 1, screen: 2, sound: 3 } as const satisfies Record<SlotName, number>;

/** What a seat says that it sends. */
export type Sending = Record<SlotName, boolean>;
export const nothing = (): Sending => ({ mic: false, camera: false, screen: false, sound: false });

/** What is shared, as its sharer sees it: reading, moving pictures, or music. */
export type Preset = "text" | "motion" | "music";

/** The most that is sent; bits and frames in each second. */
export type Caps = { fps: number; video: number; audio: number };

export const PRESETS: Record<Preset, Caps & { hint: string; soundHint: string; degrade: RTCDegradationPreference }> = {
  text: { fps: 15, video: 2_500_000, audio: 64_000, hint: "detail", soundHint: "music", degrade: "maintain-resolution" },
  motion: { fps: 30, video: 4_000_000, audio: 96_000, hint: "motion", soundHint: "music", degrade: "balanced" },
  music: { fps: 15, video: 1_500_000, audio: 128_000, hint: "motion", soundHint: "music", degrade: "maintain-framerate" },
};

export const VOICE = 40_000;
export const CAMERA: Caps = { fps: 24, video: 900_000, audio: 0 };
/** Names of a camera's layers on their way to the forwarder, the smallest first. */
export const LAYERS = ["q", "h", "f"] as const;
/** How many times fewer bits a picture of half the lines takes. */
const HALF_SAVES = 3.2;

type Layer = RTCRtpEncodingParameters & { scalabilityMode: string };

/**
 * A camera's layers, by how many pixels it has: as many as Chromium makes of so large a picture (libwebrtc's table of simulcast
 * formats), of which it takes the first ones, so the last of those is whole. Each is a stream of its own with nothing in it to
 * leave out, which has to be said: of VP9 Chromium makes one stream with layers inside otherwise.
 */
export function layersOf(pixels: number): Layer[] {
  const many = pixels >= 960 * 540 ? 3 : pixels >= 480 * 270 ? 2 : 1;
  return LAYERS.map((rid, at) => {
    const halved = Math.max(0, many - 1 - at);
    const maxBitrate = Math.round(CAMERA.video / HALF_SAVES ** halved);
    return { rid, active: at < many, scaleResolutionDownBy: 2 ** halved, maxBitrate, maxFramerate: CAMERA.fps, scalabilityMode: "L1T1" };
  });
}
/** Of a share, where it is smaller than 1080 lines. */
const SMALLER = 0.5;

/** A share's cap on bits, by its height. */
export function shareBits(caps: Caps, height: number | undefined): number {
  return height !== undefined && height <= 720 ? caps.video * SMALLER : caps.video;
}

type Codec = { mimeType: string; sdpFmtpLine?: string };

/**
 * The codecs whose frames can be sealed, as this browser lists them. VP9 in its one plain profile and VP8; never H.264 or AV1,
 * which browsers look into. Opus without RED, which would put several sealed frames into one packet unsealed.
 */
export function sealable(kind: "audio" | "video", listed: readonly Codec[]): Codec[] {
  const wanted = kind === "audio" ? ["audio/opus"] : ["video/vp9", "video/vp8", "video/rtx"];
  const plain = listed.filter(({ mimeType, sdpFmtpLine }) => wanted.includes(mimeType.toLowerCase()) && !/profile-id=[1-9]/.test(sdpFmtpLine ?? ""));
  return plain.sort((a, b) => wanted.indexOf(a.mimeType.toLowerCase()) - wanted.indexOf(b.mimeType.toLowerCase()));
}
