// Microphones, cameras, screens: asked of the browser, and only when somebody wants them.

import type { Preset } from "./slots";
import { PRESETS } from "./slots";

export type DeviceKind = "audioinput" | "videoinput" | "audiooutput";
export type DeviceList = Record<DeviceKind, { id: string; label: string }[]>;

/** What a browser lacks for rooms: the messages file has a sentence for each. */
export type RoomMissing = "secure-context" | "wasm" | "worker" | "webcrypto" | "websocket" | "webrtc" | "transform" | "codec";

/** Everything that is needed and not there; empty where all is well. Asks nobody for leave. */
export function missingForRooms(): RoomMissing[] {
  const found: RoomMissing[] = [];
  if (!globalThis.isSecureContext) found.push("secure-context");
  if (typeof globalThis.crypto?.subtle?.encrypt !== "function") found.push("webcrypto");
  if (typeof WebAssembly !== "object") found.push("wasm");
  if (typeof Worker !== "function") found.push("worker");
  if (typeof WebSocket !== "function") found.push("websocket");
  if (typeof RTCPeerConnection !== "function") found.push("webrtc");
  // Without it a page cannot seal what it sends, whatever else the browser promises.
  else if (typeof RTCRtpScriptTransform !== "function" || !("setCodecPreferences" in RTCRtpTransceiver.prototype)) found.push("transform");
  else if (!["video/vp9", "video/vp8"].some((wanted) => RTCRtpReceiver.getCapabilities("video")?.codecs.some(({ mimeType }) => mimeType.toLowerCase() === wanted))) found.push("codec");
  return found;
}

export const canShareScreen = () => typeof navigator.mediaDevices?.getDisplayMedia === "function";

const MIC: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const PICTURE: MediaTrackConstraints = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 30 } };

async function first(constraints: MediaStreamConstraints): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices) throw { code: "room_no_devices", message: "" };
  try {
    const [track] = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
    if (!track) throw new DOMException("", "NotFoundError");
    return track;
  } catch (error) {
    throw { code: codeOf(error, constraints.audio ? "mic" : "camera"), message: "" };
  }
}

function codeOf(error: unknown, what: "mic" | "camera"): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return `room_${what}_denied`;
  if (name === "NotFoundError" || name === "OverconstrainedError") return `room_${what}_none`;
  return `room_${what}_busy`;
}

const which = (id: string | null): MediaTrackConstraints => (id ? { deviceId: { exact: id } } : {});

export const openMic = (id: string | null) => first({ audio: { ...MIC, ...which(id) } });
export const openCamera = (id: string | null) => first({ video: { ...PICTURE, ...which(id) } });

/** A screen, a window or a tab, with its sound where the browser gives it. Null where the person thought better of it. */
export async function openScreen(preset: Preset): Promise<{ screen: MediaStreamTrack; sound: MediaStreamTrack | null } | null> {
  const { fps, hint, soundHint } = PRESETS[preset];
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { ideal: fps, max: fps }, width: { max: 1920 }, height: { max: 1080 } },
      // As it is: what improves voices spoils music.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 2 },
    });
    const [screen] = stream.getVideoTracks();
    const [sound = null] = stream.getAudioTracks();
    if (!screen) return null;
    screen.contentHint = hint;
    if (sound) sound.contentHint = soundHint;
    return { screen, sound };
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotAllowedError") return null;
    throw { code: "room_screen_failed", message: "" };
  }
}

/** The devices there are. Before leave is given browsers tell neither their names nor how many. */
export async function devices(): Promise<DeviceList> {
  const list: DeviceList = { audioinput: [], videoinput: [], audiooutput: [] };
  for (const { kind, deviceId, label } of (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? []) {
    if (deviceId !== "") list[kind].push({ id: deviceId, label });
  }
  return list;
}

/** How loud a track is, 0 to 1, until it is stopped. */
export function meter(track: MediaStreamTrack, hear: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // −60 dB is silence, −10 dB is loud.
    const decibel = 10 * Math.log10(power + 1e-10);
    hear(Math.min(1, Math.max(0, (decibel + 60) / 50)));
  }, 80);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
