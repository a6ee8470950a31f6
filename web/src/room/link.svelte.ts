// One connection to one other seat. Of the two, the seat with the greater id offers; so nobody's offer ever meets another's.
//
//   offerer                                     answerer
//   4 places to send, 4 to receive ── offer ──► the same eight, the other way round
//                                  ◄─ answer ──
//   candidates both ways, in handfuls; `again` asks the offerer for an ICE restart, or for a connection anew
//
// Places, and why nothing leaves them unsealed: places.ts.

import { app } from "../app/app.svelte";
import type { Seat } from "./member";
import { limit, newConnection, put, toReceive, toSend, type Outgoing } from "./places";
import type { Place } from "./selftest";
import { withStereo, withoutStrays } from "./sdp";
import { SLOT, SLOTS } from "./slots";

export type Signal =
  | { kind: "offer"; session: string; sdp: string }
  | { kind: "answer"; session: string; sdp: string }
  | { kind: "candidates"; session: string; candidates: RTCIceCandidateInit[] }
  | { kind: "again"; session: string; anew: boolean };

export type LinkState = "connecting" | "connected" | "interrupted" | "closed";

type Ways = {
  worker: Worker;
  /** The server's own STUN, and TURN servers that its operator named. */
  ice: () => RTCIceServer[];
  say: (signal: Signal) => void;
  changed: () => void;
  /** A connection is over; its counters go. */
  forget: (id: string) => void;
};

/** Candidates that come close together travel together. */
const HANDFUL_MS = 60;
/** A connection that was interrupted may come back by itself. */
const PATIENCE_MS = 2_500;
/** One that does not come to be, or not back, is begun anew. */
const ANEW_MS = 12_000;

export class Link {
  readonly seat: Seat;
  readonly offers: boolean;
  state = $state<LinkState>("connecting");
  /** What is received, by place; tracks that stay for as long as the connection. */
  received = $state.raw<(MediaStreamTrack | null)[]>(SLOTS.map(() => null));
  #pc: RTCPeerConnection | null = null;
  #session = "";
  readonly #ways: Ways;
  #outgoing: Outgoing;
  #doing: Promise<void> = Promise.resolve();
  #handful: RTCIceCandidateInit[] = [];
  #sending: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #senders: RTCRtpSender[] = [];

  constructor(own: Seat, seat: Seat, outgoing: Outgoing, ways: Ways) {
    this.seat = seat;
    this.offers = own > seat;
    this.#outgoing = outgoing;
    this.#ways = ways;
    if (this.offers) this.#then(() => this.#offerAnew());
    else this.#wait(ANEW_MS, () => this.#askAgain(true));
  }

  /** The name under which its frames are counted. */
  get id(): string {
    return `${this.seat}/${this.#session}`;
  }

  get pc(): RTCPeerConnection | null {
    return this.#pc;
  }

  /** Both sides have said what there is to say, and a way was not found yet, or was lost. */
  get looking(): boolean {
    return this.state !== "connected" && this.#pc !== null && this.#pc.remoteDescription !== null;
  }

  /** Which place a section of the description is, of those that are sent or of those that are received. */
  placeOf(mid: string | null | undefined, side: "send" | "receive"): Place | null {
    const at = this.#pc?.getTransceivers().findIndex((transceiver) => transceiver.mid === mid) ?? -1;
    if (mid == null || at < 0) return null;
    const first = at < SLOTS.length;
    return first === (this.offers === (side === "send")) ? { link: this.id, slot: at % SLOTS.length } : null;
  }

  /** How loud what comes in a place is, 0 to 1. */
  level(slot: number): number {
    const at = slot + (this.offers ? SLOTS.length : 0);
    return this.#pc?.getTransceivers()[at]?.receiver.getSynchronizationSources()[0]?.audioLevel ?? 0;
  }

  hear(signal: Signal): void {
    this.#then(async () => {
      switch (signal.kind) {
        case "offer":
          if (!this.offers) await this.#answer(signal);
          break;
        case "answer":
          if (signal.session === this.#session && this.#pc?.signalingState === "have-local-offer") {
            await this.#pc.setRemoteDescription({ type: "answer", sdp: this.#stereo(signal.sdp, "send") });
            await limit(this.#senders, this.#outgoing);
          }
          break;
        case "candidates":
          if (signal.session !== this.#session) return;
          for (const candidate of signal.candidates) await this.#pc?.addIceCandidate(candidate).catch(() => undefined);
          break;
        case "again":
          if (!this.offers) return;
          if (signal.anew || !this.#pc) await this.#offerAnew();
          else if (signal.session === this.#session) await this.#restart();
          break;
      }
    });
  }

  /** Other tracks, or other limits. */
  send(outgoing: Outgoing): void {
    this.#outgoing = outgoing;
    this.#then(() => put(this.#senders, this.#outgoing));
  }

  /** The network may be another one: looks for a way again, without beginning anew. */
  refresh(): void {
    if (this.state === "closed") return;
    if (this.offers) this.#then(() => this.#restart());
    else this.#askAgain(false);
  }

  close(): void {
    this.state = "closed";
    clearTimeout(this.#watch);
    clearTimeout(this.#sending);
    this.#drop();
    this.#ways.changed();
  }

  #drop(): void {
    if (!this.#pc) return;
    this.#pc.onconnectionstatechange = this.#pc.onicecandidate = null;
    this.#pc.close();
    this.#pc = null;
    this.#senders = [];
    this.received = SLOTS.map(() => null);
    this.#ways.forget(this.id);
  }

  /** One thing after another; what fails is told on the console of whoever looks, and the watch begins anew. */
  #then(work: () => Promise<void>): void {
    this.#doing = this.#doing.then(async () => {
      if (this.state === "closed") return;
      try {
        await work();
      } catch (error) {
        if (error instanceof DOMException) console.warn(error.message);
        else app.complain(error);
        this.#wait(PATIENCE_MS, () => this.#anew());
      }
    });
  }

  #begin(session: string): RTCPeerConnection {
    this.#drop();
    this.#session = session;
    this.#handful = [];
    const pc = newConnection(this.#ways.ice());
    this.#pc = pc;
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      this.#handful.push(candidate.toJSON());
      if (this.#handful.length === 1) this.#sending = setTimeout(() => this.#ways.say({ kind: "candidates", session, candidates: this.#handful.splice(0) }), HANDFUL_MS);
    };
    pc.onconnectionstatechange = () => this.#moved(pc);
    this.#enter("connecting");
    this.#wait(ANEW_MS, () => this.#anew());
    return pc;
  }

  #moved(pc: RTCPeerConnection): void {
    if (pc !== this.#pc) return;
    switch (pc.connectionState) {
      case "connected":
        clearTimeout(this.#watch);
        this.#enter("connected");
        break;
      case "disconnected":
        this.#enter("interrupted");
        this.#wait(PATIENCE_MS, () => this.#mend());
        break;
      case "failed":
        this.#enter("interrupted");
        this.#mend();
        break;
      default:
    }
  }

  #enter(state: LinkState): void {
    if (this.state === "closed") return;
    this.state = state;
    this.#ways.changed();
  }

  #wait(time: number, then: () => void): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(then, time);
  }

  #mend(): void {
    this.refresh();
    this.#wait(ANEW_MS, () => this.#anew());
  }

  #anew(): void {
    if (this.offers) this.#then(() => this.#offerAnew());
    else this.#askAgain(true);
  }

  #askAgain(anew: boolean): void {
    this.#ways.say({ kind: "again", session: this.#session, anew });
    this.#wait(ANEW_MS, () => this.#askAgain(true));
  }

  async #offerAnew(): Promise<void> {
    const session = crypto.randomUUID();
    const pc = this.#begin(session);
    // Not one step of this may be waited for: see above.
    for (const [slot, { kind }] of SLOTS.entries()) this.#toSend(pc.addTransceiver(kind, { direction: "sendonly", sendEncodings: [{ active: true }] }), slot);
    for (const [slot, { kind }] of SLOTS.entries()) this.#toReceive(pc.addTransceiver(kind, { direction: "recvonly" }), slot);
    await this.#describe("offer");
    await put(this.#senders, this.#outgoing);
  }

  async #restart(): Promise<void> {
    if (!this.#pc) return this.#offerAnew();
    // An offer that is under way has to be answered first; the watch sees to it that it is not waited for in vain.
    if (this.#pc.signalingState !== "stable") return;
    this.#pc.restartIce();
    await this.#describe("offer");
  }

  async #answer({ session, sdp }: { session: string; sdp: string }): Promise<void> {
    const known = this.#pc && session === this.#session ? this.#pc : null;
    const pc = known ?? this.#begin(session);
    await pc.setRemoteDescription({ type: "offer", sdp: this.#stereo(sdp, "send") });
    if (!known) {
      // The places came to be just now, in this task: see above.
      const places = pc.getTransceivers();
      if (places.length !== 2 * SLOTS.length) throw new DOMException("an offer has eight places", "DataError");
      for (const [at, place] of places.entries()) {
        const slot = at % SLOTS.length;
        const { kind } = SLOTS[slot] ?? SLOTS[0];
        if (place.receiver.track.kind !== kind) throw new DOMException("a place is of another kind", "DataError");
        if (at < SLOTS.length) this.#toReceive(place, slot);
        else this.#toSend(place, slot);
      }
    }
    await this.#describe("answer");
    await put(this.#senders, this.#outgoing);
  }

  async #describe(kind: "offer" | "answer"): Promise<void> {
    const pc = this.#pc;
    if (!pc) return;
    const made = kind === "offer" ? await pc.createOffer() : await pc.createAnswer();
    await pc.setLocalDescription({ type: kind, sdp: this.#stereo(made.sdp ?? "", "receive") });
    this.#ways.say({ kind, session: this.#session, sdp: withoutStrays(pc.localDescription?.sdp ?? "") });
  }

  /** The place for shared sound is stereo; microphones are not. Sections stand in the order of the places. */
  #stereo(sdp: string, side: "send" | "receive"): string {
    const at = SLOT.sound + (this.offers === (side === "send") ? 0 : SLOTS.length);
    const mid = [...sdp.matchAll(/^a=mid:(\S+)/gm)][at]?.[1];
    return mid === undefined ? sdp : withStereo(sdp, mid);
  }

  #toSend(place: RTCRtpTransceiver, slot: number): void {
    toSend(place, this.#ways.worker, { side: "send", link: this.id, slot });
    this.#senders[slot] = place.sender;
  }

  #toReceive(place: RTCRtpTransceiver, slot: number): void {
    toReceive(place, this.#ways.worker, { side: "receive", link: this.id, slot, seat: this.seat });
    this.received = this.received.map((track, at) => (at === slot ? place.receiver.track : track));
  }
}
