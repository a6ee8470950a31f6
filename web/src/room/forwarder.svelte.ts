// The one connection to the server's forwarder. The browser offers, the forwarder answers, through the room's socket:
//
//   4 places to send ── offer ──► answer; tracks { what others send }
//   and one to receive each of those ── offer ──► answer; and so on, whenever there are others
//
// The frames are those of a mesh, with the same keys and counters; places and why nothing leaves them unsealed: places.ts.

import { app } from "../app/app.svelte";
import type { Seat } from "./member";
import { cameraLayers, limit, newConnection, put, toReceive, toSend, type Outgoing } from "./places";
import type { Place } from "./selftest";
import { withStereo, withoutAddresses, withoutStrays } from "./sdp";
import { MAX_SIGNAL, type FromForwarder, type ToForwarder, type Want } from "./signal";
import { SLOT, SLOTS } from "./slots";
import type { LinkState } from "./link.svelte";

type Ways = {
  worker: Worker;
  tell: (message: ToForwarder) => void;
  changed: () => void;
  /** A connection is over; its counters go. */
  forget: (id: string) => void;
  /** Whether somebody is a member, and whether there is a use for this place of theirs. */
  expects: (seat: Seat, slot: number) => boolean;
  /** Frames of a track of ours were not sealed, says the forwarder. */
  unsealed: () => void;
};

/** What is wanted of a place. */
export type Wanting = (seat: Seat, slot: number) => Want;

/** Others come and go together. */
const HANDFUL_MS = 100;
/** An answer may be lost with a socket. */
const ANSWER_MS = 6_000;
/** A connection that was interrupted may come back by itself. */
const PATIENCE_MS = 2_500;
/** One that does not come to be is begun anew; the forwarder's patience is a little longer. */
const ANEW_MS = 12_000;
const AGAIN_MS = 2_000;
const AGAIN_AT_MOST_MS = 30_000;
/** Places are not used again. With so many the connection is begun anew. */
const MAX_PLACES = 240;

type Received = { seat: Seat; slot: number; place: RTCRtpTransceiver };

export class Forwarder {
  state = $state<LinkState>("connecting");
  /** It could not be reached, or refused: not to be counted on until it is connected. */
  failing = $state(false);
  #pc: RTCPeerConnection | null = null;
  #session = "";
  readonly #ways: Ways;
  #outgoing: Outgoing;
  #senders: RTCRtpSender[] = [];
  #receivers = $state.raw<Received[]>([]);
  #wanting: Wanting = () => ({ priority: 0, highest: 255, pause: false });
  #told = new Map<string, string>();
  /** What others send, by what the forwarder says. */
  #listed = new Set<string>();
  /** Of that, what has been asked for since it was there. */
  #asked = new Set<string>();
  #offer: ToForwarder | null = null;
  #offerAgain = false;
  #tries = 0;
  #doing: Promise<void> = Promise.resolve();
  #handful: ReturnType<typeof setTimeout> | undefined;
  #answering: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;

  constructor(outgoing: Outgoing, ways: Ways) {
    this.#outgoing = outgoing;
    this.#ways = ways;
    this.#begin();
  }

  /** The name under which its frames are counted; what comes from a seat has the seat behind it. */
  get id(): string {
    return `forwarder/${this.#session}`;
  }

  get pc(): RTCPeerConnection | null {
    return this.#pc;
  }

  placeOf(mid: string | null | undefined, side: "send" | "receive"): Place | null {
    if (mid == null) return null;
    if (side === "send") {
      const slot = this.#pc?.getTransceivers().findIndex((place) => place.mid === mid) ?? -1;
      return slot >= 0 && slot < SLOTS.length ? { link: this.id, slot } : null;
    }
    const received = this.#receivers.find(({ place }) => place.mid === mid);
    return received ? { link: this.#from(received.seat), slot: received.slot } : null;
  }

  /** What is received of a seat, by place. */
  received(seat: Seat): (MediaStreamTrack | null)[] {
    return SLOTS.map((_, slot) => this.#receiver(seat, slot)?.place.receiver.track ?? null);
  }

  /** Everything of a seat that is to be shown here comes, by the places from which something is shown. */
  carries(seat: Seat, slots: readonly number[], shown: readonly Place[]): boolean {
    const from = this.#from(seat);
    return (
      this.state === "connected" &&
      this.#asked.has(key(seat, SLOT.mic)) &&
      slots.every((slot) => this.#wanting(seat, slot).pause || shown.some((place) => place.link === from && place.slot === slot))
    );
  }

  /** How loud what comes in a place is, 0 to 1. */
  level(seat: Seat, slot: number): number {
    return this.#receiver(seat, slot)?.place.receiver.getSynchronizationSources()[0]?.audioLevel ?? 0;
  }

  hear(message: Exclude<FromForwarder, { type: "layer" }>): void {
    switch (message.type) {
      case "answer":
        return this.#then(() => this.#answered(message.sdp));
      case "refused":
        // Who came in a moment ago may be believed a moment later.
        return this.#lost(message.why === "not_a_member" ? AGAIN_MS : AGAIN_AT_MOST_MS);
      case "tracks":
        return this.#list(message.tracks.map(({ seat, track }) => key(seat, track)));
      case "unsealed":
        return this.#ways.unsealed();
      case "closed":
        // An old connection's end, or one that was begun anew meanwhile.
        if (message.why !== "bye" && !this.#offer) this.#lost(AGAIN_MS);
        return;
    }
  }

  /** Other tracks, or other limits. */
  send(outgoing: Outgoing): void {
    this.#outgoing = outgoing;
    this.#then(() => put(this.#senders, outgoing));
  }

  /** What is worth more, or nothing for now. */
  prefer(wanting: Wanting): void {
    this.#wanting = wanting;
    const wants: { mid: string; want: Want }[] = [];
    for (const { seat, slot, place } of this.#receivers) {
      const { mid } = place;
      if (mid === null || !this.#told.has(mid)) continue;
      const want = wanting(seat, slot);
      if (this.#told.get(mid) === JSON.stringify(want)) continue;
      this.#told.set(mid, JSON.stringify(want));
      wants.push({ mid, want });
    }
    if (wants.length > 0) this.#ways.tell({ type: "prefer", wants });
  }

  /** The socket is there again: what was asked may not have been heard. */
  reconnected(): void {
    if (this.#offer) this.#ways.tell(this.#offer);
  }

  /** Others are here, or share something. */
  look(): void {
    if (this.#pc && !this.#offer && this.#missing().length > 0) this.#offerSoon();
  }

  /** The network may be another one. */
  refresh(): void {
    this.#then(async () => this.#pc?.restartIce());
    this.#offerSoon();
  }

  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#ways.tell({ type: "bye" });
    this.#drop();
    this.#ways.changed();
  }

  #from(seat: Seat): string {
    return `${this.id}/${seat}`;
  }

  #receiver(seat: Seat, slot: number): Received | undefined {
    return this.#receivers.find((received) => received.seat === seat && received.slot === slot);
  }

  #drop(): void {
    for (const timer of [this.#handful, this.#answering, this.#watch]) clearTimeout(timer);
    this.#offer = null;
    this.#offerAgain = false;
    this.#handful = undefined;
    if (!this.#pc) return;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    this.#pc = null;
    this.#senders = [];
    this.#receivers = [];
    this.#told.clear();
    this.#listed.clear();
    this.#asked.clear();
    this.#ways.forget(this.id);
  }

  /** Not now. Begins anew after a while, which becomes longer. */
  #lost(again: number): void {
    if (this.state === "closed") return;
    this.#drop();
    this.state = "interrupted";
    this.failing = true;
    const wait = Math.min(AGAIN_AT_MOST_MS, again * 2 ** this.#tries++);
    this.#watch = setTimeout(() => this.#begin(), wait * (0.75 + Math.random() / 2));
    this.#ways.changed();
  }

  /** One thing after another. */
  #then(work: () => Promise<void>): void {
    const session = this.#session;
    this.#doing = this.#doing.then(async () => {
      if (this.state === "closed" || session !== this.#session || !this.#pc) return;
      try {
        await work();
      } catch (error) {
        if (error instanceof DOMException) console.warn(error.message);
        else app.complain(error);
        if (session === this.#session) this.#lost(AGAIN_MS);
      }
    });
  }

  #begin(): void {
    this.#drop();
    this.#session = crypto.randomUUID();
    // Its address is in its answer. Whoever hides theirs asks nobody for it.
    const pc = newConnection([]);
    this.#pc = pc;
    this.state = this.failing ? "interrupted" : "connecting";
    pc.onconnectionstatechange = () => this.#moved(pc);
    // Not one step of this may be waited for: see places.ts.
    for (const [slot, { kind }] of SLOTS.entries()) {
      const place = pc.addTransceiver(kind, { direction: "sendonly", sendEncodings: slot === SLOT.camera ? cameraLayers() : [{ active: true }] });
      toSend(place, this.#ways.worker, { side: "send", link: this.id, slot });
      this.#senders[slot] = place.sender;
    }
    this.#watch = setTimeout(() => this.#lost(AGAIN_MS), ANEW_MS);
    this.#then(async () => {
      await put(this.#senders, this.#outgoing);
      await this.#describe();
    });
    this.#ways.changed();
  }

  #moved(pc: RTCPeerConnection): void {
    if (pc !== this.#pc) return;
    switch (pc.connectionState) {
      case "connected":
        clearTimeout(this.#watch);
        this.state = "connected";
        this.failing = false;
        this.#tries = 0;
        break;
      case "disconnected":
        this.state = "interrupted";
        clearTimeout(this.#watch);
        this.#watch = setTimeout(() => {
          this.refresh();
          this.#watch = setTimeout(() => this.#lost(AGAIN_MS), ANEW_MS);
        }, PATIENCE_MS);
        break;
      case "failed":
        return this.#lost(AGAIN_MS);
      default:
        return;
    }
    this.#ways.changed();
  }

  #list(tracks: string[]): void {
    const listed = new Set(tracks);
    // Who went and came again has to be asked for again.
    for (const track of this.#asked) if (!listed.has(track)) this.#asked.delete(track);
    this.#listed = listed;
    this.#ways.changed();
    this.look();
  }

  /** What there is to receive and has not been asked for. */
  #missing(): string[] {
    return [...this.#listed].filter((track) => {
      const { seat, slot } = unkey(track);
      return !this.#asked.has(track) && slot < SLOTS.length && this.#ways.expects(seat, slot);
    });
  }

  #offerSoon(): void {
    // Whoever is waited for already is not waited for longer.
    this.#handful ??= setTimeout(() => {
      this.#handful = undefined;
      this.#then(() => this.#describe());
    }, HANDFUL_MS);
  }

  async #describe(): Promise<void> {
    const pc = this.#pc;
    if (!pc) return;
    if (this.#offer) {
      this.#offerAgain = true;
      return;
    }
    const missing = this.#missing();
    if (pc.getTransceivers().length + missing.length > MAX_PLACES) return this.#begin();
    const added: Received[] = [];
    for (const { seat, slot } of missing.map(unkey)) {
      const kind = SLOTS[slot]?.kind;
      if (!kind || this.#receiver(seat, slot)) continue;
      const place = pc.addTransceiver(kind, { direction: "recvonly" });
      toReceive(place, this.#ways.worker, { side: "receive", link: this.#from(seat), slot, seat });
      added.push({ seat, slot, place });
    }
    if (added.length > 0) this.#receivers = [...this.#receivers, ...added];
    const made = await pc.createOffer();
    const session = this.#session;
    await pc.setLocalDescription({ type: "offer", sdp: this.#stereo(made.sdp ?? "", "receive") });
    if (session !== this.#session) return;
    for (const track of missing) this.#asked.add(track);
    this.#offer = this.#message(pc);
    if (JSON.stringify(this.#offer).length > MAX_SIGNAL) return this.#lost(AGAIN_AT_MOST_MS);
    this.#ways.tell(this.#offer);
    this.#answering = setTimeout(() => this.#unanswered(), ANSWER_MS);
  }

  #message(pc: RTCPeerConnection): ToForwarder {
    const send = this.#senders.flatMap((sender, track) => {
      const mid = pc.getTransceivers().find((place) => place.sender === sender)?.mid;
      return mid == null ? [] : [{ mid, track, layers: sender.getParameters().encodings.flatMap(({ rid }) => rid ?? []) }];
    });
    const receive = this.#receivers.flatMap(({ seat, slot, place }) => {
      if (place.mid === null || !this.#listed.has(key(seat, slot))) return [];
      const want = this.#wanting(seat, slot);
      this.#told.set(place.mid, JSON.stringify(want));
      return [{ mid: place.mid, seat, track: slot, want }];
    });
    return { type: "offer", sdp: withoutAddresses(withoutStrays(pc.localDescription?.sdp ?? "")), send, receive };
  }

  #unanswered(): void {
    if (!this.#offer) return;
    this.#ways.tell(this.#offer);
    this.#answering = setTimeout(() => this.#lost(AGAIN_MS), ANSWER_MS);
  }

  async #answered(sdp: string): Promise<void> {
    // The answer to an offer that was said twice comes twice.
    if (!this.#offer || this.#pc?.signalingState !== "have-local-offer") return;
    clearTimeout(this.#answering);
    await this.#pc.setRemoteDescription({ type: "answer", sdp: this.#stereo(sdp, "send") });
    await limit(this.#senders, this.#outgoing);
    this.#offer = null;
    if (this.#offerAgain || this.#missing().length > 0) {
      this.#offerAgain = false;
      this.#offerSoon();
    }
    this.#ways.changed();
  }

  /** Places for shared sound are stereo; microphones are not. */
  #stereo(sdp: string, side: "send" | "receive"): string {
    const mids = [...sdp.matchAll(/^a=mid:(\S+)/gm)].map(([, mid]) => mid);
    const places = this.#pc?.getTransceivers() ?? [];
    // Sections stand in the order of the places.
    const sound = (at: number) => (at < SLOTS.length ? side === "send" && at === SLOT.sound : side === "receive" && this.#receivers.some(({ place, slot }) => place === places[at] && slot === SLOT.sound));
    return mids.reduce<string>((text, mid, at) => (mid !== undefined && sound(at) ? withStereo(text, mid) : text), sdp);
  }
}

const key = (seat: Seat, slot: number): string => `${seat}/${slot}`;

function unkey(track: string): { seat: Seat; slot: number } {
  const at = track.lastIndexOf("/");
  return { seat: track.slice(0, at), slot: Number(track.slice(at + 1)) };
}
