// A visit to a room, as the page shows it: who is there, what they send, what was said. Keys, and who may be in, are the
// worker's; this wires the browser's connections to it, and remembers what is to be seen.

import { app, assertNever } from "../app/app.svelte";
import type { VaultError } from "../core/vault";
import { devices, meter, openCamera, openMic, openScreen, type DeviceList } from "./devices";
import { Forwarder, type Wanting } from "./forwarder.svelte";
import { Link, type LinkState, type Signal } from "./link.svelte";
import { CONTROL, type FromRoom, type LeftHow, type Name, type RoomCore, type Seat, type Words } from "./member";
import type { Outgoing } from "./places";
import { judge, shown, type Place, type Verdict } from "./selftest";
import type { FromForwarder, Network } from "./signal";
import { PRESETS, SLOT, SLOTS, nothing, type Caps, type Preset, type Sending, type SlotName } from "./slots";
import { measure, type Quality } from "./quality";
import { MESH_SEATS, Topology, forwarderOver, linkOver, linkWanted, readSaid, wanted, type Facts, type Pair, type Said, type Way } from "./topology";
import { r } from "./messages";

export type Phase =
  | { kind: "connecting" }
  | { kind: "knocking" }
  /** Knocks when the host has come. */
  | { kind: "awaiting" }
  /** The server does not know the link. */
  | { kind: "refused" }
  | { kind: "in" }
  | { kind: "over"; why: "left" | "denied" | "full" | "removed" | "ended" | "error"; error: VaultError | null };

export type Line = { id: number; from: string; own: boolean; text: string; at: number };
export type Noted = { id: number; text: string; at: number; grave: boolean };
export type Knocker = { seat: Seat; card: Name | null };

/** Where the microphone's level counts as speaking. */
const SPEAKING = 0.02;
const LOOK_MS = 1_000;
const LISTEN_MS = 200;
/** Two who look for a way to each other for so many looks are taken to have none. */
const PATHLESS = 10;
const REACTION_MS = 4_000;
const MAX_SAID = 500;
const MAX_CHAT = 4_000;

/** Doubts that are nobody's slip: somebody tried to get in, or to speak for the host. */
const GRAVE = new Set(["foreign_proposal", "without_link", "bad_join_proof", "not_admitted", "not_the_host", "forged", "false_welcome", "bad_card", "misdelivered"]);

/** What was found out of a connection. */
type Looked = { verdict: Verdict; stats: RTCStats[]; shown: Place[] };

/** Somebody else in the room. */
export class Person {
  readonly seat: Seat;
  /** Came in while this seat was here, and has not said who they are. */
  fresh = false;
  name = $state("");
  code = $state("");
  sending = $state.raw<Sending>(nothing());
  /** Of the screen that they share. */
  lines = 0;
  hand = $state(false);
  speaking = $state(false);
  away = $state(false);
  compared = $state(false);
  reaction = $state("");
  link = $state.raw<Link | null>(null);
  /** What comes by way of the forwarder, by place. */
  forwarded = $state.raw<(MediaStreamTrack | null)[]>(SLOTS.map(() => null));
  /** Which of both is shown. */
  seen = $state<Way>("mesh");
  /** What they said of the topology. */
  said: Said | null = null;
  /** No way was found to them, while there was one to others. Stays so. */
  pathless = $state(false);
  /** Looks at which there was none. */
  lookedInVain = 0;
  /** The host's page removed them; the group follows. */
  removed = false;
  verdict = $state.raw<Verdict>("quiet");
  quality = $state.raw<Quality | null>(null);

  constructor(seat: Seat) {
    this.seat = seat;
  }

  get called(): string {
    return this.name || r.somebody;
  }

  /** What is shown of them, by place. */
  get received(): (MediaStreamTrack | null)[] {
    return this.link && this.seen === "mesh" ? this.link.received : this.forwarded;
  }

  /** The places that they say hold something. */
  get slots(): number[] {
    return SLOTS.flatMap(({ name }, slot) => (this.sending[name] ? [slot] : []));
  }
}

export class Meeting {
  phase = $state.raw<Phase>({ kind: "connecting" });
  people = $state.raw<Person[]>([]);
  chat = $state.raw<Line[]>([]);
  record = $state.raw<Noted[]>([]);
  door = $state.raw<Knocker[]>([]);
  unread = $state(0);
  seat = $state<Seat>("");
  code = $state("");
  host = $state(false);
  fragment = $state("");
  /** Nobody was there when this seat came in. */
  first = $state(false);
  online = $state(true);
  hand = $state(false);
  reaction = $state("");
  speaking = $state(false);
  preset = $state<Preset>("text");
  caps = $state.raw<Caps>(PRESETS.text);
  mic = $state.raw<MediaStreamTrack | null>(null);
  camera = $state.raw<MediaStreamTrack | null>(null);
  screen = $state.raw<MediaStreamTrack | null>(null);
  sound = $state.raw<MediaStreamTrack | null>(null);
  /** Whether what the microphone hears is sent. */
  talking = $state(false);
  /** A connection sent or received what was not sealed. Nothing is sent any more. */
  broken = $state(false);
  /** Which way media goes. */
  way = $state<Way>("mesh");
  forwarder = $state.raw<Forwarder | null>(null);
  /** What the server said of the network. */
  network = $state.raw<Network>({ type: "network", ice: [], forwarder: false });
  /** The seat whose tile is pinned, if one is. */
  pinned: Seat | null = null;
  /** What others want of this seat. */
  asked = $state.raw<{ from: string; track: number } | null>(null);
  /** A loudspeaker; the browser's choice for null. */
  speaker = $state<string | null>(null);
  list = $state.raw<DeviceList>({ audioinput: [], videoinput: [], audiooutput: [] });

  readonly name: string;
  /** Members do not learn each other's addresses. */
  readonly hidden: boolean;
  readonly #topology = new Topology();
  #announced = "";
  #lines = 0;
  #busy = false;
  #forwarderQuality: Quality | null = null;
  readonly #core: RoomCore;
  readonly #worker: Worker;
  readonly #stopHearing: () => void;
  #next = 1;
  #looking: ReturnType<typeof setInterval> | undefined;
  #listening: ReturnType<typeof setInterval> | undefined;
  #stopMeter: (() => void) | null = null;
  #awake: { release(): Promise<void> } | null = null;
  #linkChanged: (fragment: string) => void;

  constructor(ways: { core: RoomCore; worker: Worker; onRoom: (hear: (event: FromRoom) => void) => () => void; name: string; fragment: string; hidden: boolean; linkChanged: (fragment: string) => void }) {
    this.#core = ways.core;
    this.#worker = ways.worker;
    this.name = ways.name;
    this.fragment = ways.fragment;
    this.hidden = ways.hidden;
    this.#linkChanged = ways.linkChanged;
    this.#stopHearing = ways.onRoom(this.#hear);
    this.#looking = setInterval(() => void this.#look(), LOOK_MS);
    this.#listening = setInterval(() => this.#listen(), LISTEN_MS);
    addEventListener("online", this.#wake);
    addEventListener("pagehide", this.#gone);
    navigator.mediaDevices?.addEventListener("devicechange", this.#count);
    void this.#count();
  }

  /** Everybody who is here is reached under keys that are checked, or nobody is here. */
  get verdict(): Verdict {
    if (this.broken) return "broken";
    const verdicts = this.people.map((person) => person.verdict);
    return verdicts.length > 0 && verdicts.every((verdict) => verdict === "sealed") ? "sealed" : "quiet";
  }

  /** Why people do not reach each other as they should; the messages file has a sentence for each. */
  get trouble(): "hidden" | "unreachable" | "crowded" | "pathless" | null {
    if (this.people.length === 0 || this.broken) return null;
    if (this.network.forwarder && !this.forwarder?.failing) return null;
    if (this.hidden) return "hidden";
    if (this.forwarder?.failing) return "unreachable";
    if (this.people.some((person) => person.pathless)) return "pathless";
    return this.people.length + 1 > MESH_SEATS ? "crowded" : null;
  }

  /** Of the connection by which somebody is seen. */
  stateOf(person: Person): LinkState {
    if (person.link && person.seen === "mesh") return person.link.state;
    if (this.forwarder?.state === "connected") return person.forwarded[SLOT.mic] ? "connected" : "connecting";
    return this.forwarder?.state ?? person.link?.state ?? "connecting";
  }

  get sending(): Sending {
    return { mic: this.mic !== null && this.talking, camera: this.camera !== null, screen: this.screen !== null, sound: this.sound !== null };
  }

  // What the person does.

  async talk(on: boolean): Promise<void> {
    if (on && !this.mic) await this.useMic(null);
    this.talking = on;
    this.#send();
  }

  async useMic(id: string | null): Promise<void> {
    const track = await openMic(id);
    this.takeMic(track);
    this.#send();
  }

  takeMic(track: MediaStreamTrack | null): void {
    this.mic?.stop();
    this.#stopMeter?.();
    this.mic = track;
    this.#stopMeter = track && meter(track, (level) => (this.speaking = this.talking && level > 0.35));
    track?.addEventListener("ended", () => {
      if (this.mic !== track) return;
      this.takeMic(null);
      this.talking = false;
      this.#send();
      app.say(r.micGone, null, true);
    });
    void this.#count();
  }

  async show(on: boolean): Promise<void> {
    if (on) await this.useCamera(null);
    else {
      this.takeCamera(null);
      this.#send();
    }
  }

  async useCamera(id: string | null): Promise<void> {
    this.takeCamera(await openCamera(id));
    this.#send();
  }

  takeCamera(track: MediaStreamTrack | null): void {
    this.camera?.stop();
    this.camera = track;
    track?.addEventListener("ended", () => {
      if (this.camera !== track) return;
      this.takeCamera(null);
      this.#send();
      app.say(r.cameraGone, null, true);
    });
    void this.#count();
  }

  async share(): Promise<void> {
    const shared = await openScreen(this.preset);
    if (!shared) return;
    this.stopSharing(false);
    const { screen, sound } = shared;
    this.screen = screen;
    this.sound = sound;
    // Stopped from the browser's own bar.
    screen.addEventListener("ended", () => this.screen === screen && this.stopSharing());
    sound?.addEventListener("ended", () => {
      if (this.sound !== sound) return;
      this.sound = null;
      this.#send();
    });
    this.#send();
    app.say(sound ? r.sharing : r.sharingSilent);
  }

  stopSharing(tell = true): void {
    if (!this.screen) return;
    this.screen.stop();
    this.sound?.stop();
    this.screen = this.sound = null;
    this.#send();
    if (tell) app.say(r.shareStopped);
  }

  /** How what is shared is sent. */
  choose(preset: Preset, caps: Partial<Caps> = {}): void {
    this.preset = preset;
    this.caps = { ...PRESETS[preset], ...caps };
    if (this.screen) {
      this.screen.contentHint = PRESETS[preset].hint;
      void this.screen.applyConstraints({ frameRate: { max: this.caps.fps } }).catch(() => undefined);
    }
    this.#send();
  }

  async say(text: string): Promise<void> {
    const line = text.trim().slice(0, MAX_CHAT);
    if (line === "") return;
    await this.#core.say(null, { kind: "chat", text: line });
    this.#write({ from: this.name, own: true, text: line });
  }

  async react(emoji: string): Promise<void> {
    await this.#core.say(null, { kind: "react", emoji });
    this.reaction = emoji;
    setTimeout(() => (this.reaction = ""), REACTION_MS);
  }

  async raise(up: boolean): Promise<void> {
    this.hand = up;
    await this.#core.say(null, { kind: "hand", up });
  }

  async askToMute(person: Person, slot: SlotName): Promise<void> {
    await this.#core.say(person.seat, { kind: "mute", track: SLOT[slot] });
    app.say(r.askedToMute(person.called));
  }

  /** Does what somebody asked for. */
  async obey(): Promise<void> {
    const track = this.asked?.track;
    this.asked = null;
    if (track === SLOT.mic) await this.talk(false);
    if (track === SLOT.camera) await this.show(false);
    if (track === SLOT.screen || track === SLOT.sound) this.stopSharing();
  }

  async admit(seat: Seat): Promise<void> {
    this.door = this.door.filter((knocker) => knocker.seat !== seat);
    await this.#core.admit(seat);
  }

  async deny(seat: Seat): Promise<void> {
    this.door = this.door.filter((knocker) => knocker.seat !== seat);
    await this.#core.deny(seat);
  }

  /** Out at once, as far as this page goes; the group's new keys follow. */
  async remove(person: Person): Promise<void> {
    person.removed = true;
    this.#unlink(person);
    await this.#core.expel(person.seat);
  }

  async end(): Promise<void> {
    await this.#core.end();
    // It has to reach the log before this seat goes.
    setTimeout(() => void this.leave("ended"), 400);
  }

  async leave(why: "left" | "ended" = "left"): Promise<void> {
    this.#finish({ kind: "over", why, error: null });
    await this.#core.leave();
  }

  // What the room does.

  #hear = (event: FromRoom): void => {
    switch (event.kind) {
      case "first":
        this.first = true;
        break;
      case "knocking":
        // What the page said before is not what it says now.
        if (this.phase.kind === "awaiting") app.speak(r.waiting.knocking[0]);
        this.phase = { kind: "knocking" };
        break;
      case "host-awaited":
        this.phase = { kind: "awaiting" };
        break;
      case "seated":
        this.#unlinkAll();
        this.#announced = "";
        this.seat = event.seat;
        this.code = event.code;
        this.host = event.host;
        this.phase = { kind: "in" };
        this.#meet(event.seats);
        this.#announce(null);
        void this.#stayAwake();
        break;
      case "epoch":
        if (this.phase.kind === "in") this.#meet(event.seats);
        break;
      case "sealing":
        break;
      case "joined":
        this.door = this.door.filter((knocker) => knocker.seat !== event.seat);
        this.#person(event.seat).fresh = true;
        this.first = false;
        this.#arrange();
        this.#announce(event.seat);
        this.#sayTopology(event.seat);
        break;
      case "introduced": {
        const person = this.#person(event.seat);
        person.name = event.name.name;
        person.code = event.name.code;
        if (person.fresh) this.#note(r.came(person.called));
        person.fresh = false;
        break;
      }
      case "left":
        this.#left(event.seat, event.how);
        break;
      case "away":
      case "back": {
        const person = this.people.find(({ seat }) => seat === event.seat);
        if (person) person.away = event.kind === "away";
        this.door = this.door.filter((knocker) => event.kind !== "away" || knocker.seat !== event.seat);
        break;
      }
      case "said":
        this.#said(event.seat, event.said);
        break;
      case "at-the-door":
        this.door = [...this.door.filter(({ seat }) => seat !== event.seat), { seat: event.seat, card: event.card }];
        if (this.host) app.speak(r.knocks(event.card?.name || r.somebody));
        break;
      case "link-changed":
        this.fragment = event.fragment;
        this.#linkChanged(event.fragment);
        this.#note(r.linkChanged);
        break;
      case "link-refused":
        // The host's own page tells the server of a new link a moment after it was made, and a link may be old.
        if (this.phase.kind !== "in") this.phase = { kind: "refused" };
        break;
      case "denied":
      case "full":
      case "removed":
      case "ended":
        this.#finish({ kind: "over", why: event.kind, error: null });
        if (event.kind === "full") void this.#core.leave();
        break;
      case "over":
        this.#finish({ kind: "over", why: "error", error: event.error });
        break;
      case "rejoining":
        this.#unlinkAll();
        this.first = false;
        this.phase = { kind: "connecting" };
        this.#note(r.rejoining);
        break;
      case "socket":
        if (event.open && !this.online) app.speak(r.backOnline);
        // What was a way may be none, and whoever looked for one could not say so.
        if (event.open && !this.online) for (const { link } of this.people) if (link && link.state !== "connected") link.refresh();
        this.online = event.open;
        break;
      case "network":
        this.network = event.network;
        this.forwarder?.reconnected();
        this.#arrange();
        break;
      case "forwarder":
        this.#heardForwarder(event.message);
        break;
      case "doubt":
        this.#note(r.doubt(event.message), GRAVE.has(event.code));
        break;
      default:
        assertNever(event);
    }
  };

  #said(seat: Seat, said: Words): void {
    const person = this.#person(seat);
    switch (said.kind) {
      case "signal": {
        const signal = read<Signal>(said.body);
        // Who makes an offer needs the connection, and may have seen something that was not seen here yet.
        if (signal?.kind === "offer" && !person.link && !person.removed && !this.hidden && !this.broken) this.#join(person);
        if (signal) person.link?.hear(signal);
        break;
      }
      case "chat":
        this.#write({ from: person.called, own: false, text: said.text.slice(0, MAX_CHAT) });
        this.unread += 1;
        app.speak(r.spoken(person.called, said.text));
        break;
      case "react":
        person.reaction = [...said.emoji].slice(0, 8).join("");
        app.speak(r.reacted(person.called, person.reaction));
        setTimeout(() => (person.reaction = ""), REACTION_MS);
        break;
      case "hand":
        if (said.up && !person.hand) app.speak(r.raised(person.called));
        person.hand = said.up;
        break;
      case "mute":
        if (Object.values(SLOT).some((slot) => slot === said.track)) this.asked = { from: person.called, track: said.track };
        break;
      case "control": {
        if (said.about === CONTROL.topology) {
          person.said = readSaid(read<Partial<Said>>(said.body) ?? {});
          this.#arrange();
          break;
        }
        if (said.about !== CONTROL.tracks) break;
        const sending = read<Partial<Sending> & { lines?: unknown }>(said.body) ?? {};
        const before = person.sending;
        person.sending = { mic: sending.mic === true, camera: sending.camera === true, screen: sending.screen === true, sound: sending.sound === true };
        person.lines = person.sending.screen && typeof sending.lines === "number" ? sending.lines : 0;
        this.#arrange();
        if (person.sending.screen !== before.screen) app.speak(person.sending.screen ? r.shares(person.called) : r.sharesNoMore(person.called));
        break;
      }
      default:
        assertNever(said);
    }
  }

  /** Those who are here now, and nobody else. */
  #meet(seats: Seat[]): void {
    for (const person of this.people) if (!seats.includes(person.seat)) this.#left(person.seat, "unexplained");
    for (const seat of seats) {
      if (seat !== this.seat) this.#person(seat);
    }
    this.#arrange();
  }

  /** A connection to somebody. */
  #join(person: Person): void {
    const { seat } = person;
    person.link = new Link(this.seat, seat, this.#outgoing(), {
      worker: this.#worker,
      ice: () => this.network.ice,
      say: (signal) => void this.#core.say(seat, { kind: "signal", body: JSON.stringify(signal) }).catch(() => undefined),
      changed: () => undefined,
      forget: this.#forget,
    });
  }

  #forget = (id: string): void => void this.#core.forget(id).catch(() => undefined);

  #facts(): Facts {
    const lines = Math.max(this.#lines, ...this.people.map((person) => person.lines));
    const pathless = this.people.some((person) => person.pathless || person.said?.pathless);
    return { seats: this.people.length + 1, lines, hidden: this.hidden, pathless, forwarder: this.network.forwarder };
  }

  /** Which way media is to go, and what that takes. */
  #arrange(): void {
    if (this.phase.kind !== "in" || this.broken) return;
    const facts = this.#facts();
    this.way = this.#topology.decide({ ...facts, forwarder: facts.forwarder && !this.forwarder?.failing }, performance.now());
    const pair = (person: Person): Pair => ({ way: this.way, hidden: this.hidden, seen: person.seen, own: this.seat, said: person.said });
    const through = facts.forwarder && this.people.length > 0 && (this.way === "forwarder" || wanted(facts) === "forwarder");
    if (through && !this.forwarder) this.#connect();
    else this.forwarder?.look();
    for (const person of this.people) {
      if (!person.link && !person.removed && linkWanted(pair(person))) this.#join(person);
      else if (person.link && linkOver(pair(person))) this.#unlink(person);
    }
    if (this.forwarder && !through && forwarderOver(this.people.map(pair))) this.#disconnect();
    this.#sayTopology(null);
  }

  #connect(): void {
    this.forwarder = new Forwarder(this.#outgoing(), {
      worker: this.#worker,
      tell: (message) => void this.#core.tellForwarder(message).catch(() => undefined),
      changed: () => this.#forwarderChanged(),
      forget: this.#forget,
      // A share's places come with the share.
      expects: (seat, slot) => this.people.some((person) => person.seat === seat && (slot === SLOT.mic || slot === SLOT.camera || person.slots.includes(slot))),
      unsealed: () => this.#fail(r.unsealedOwn),
    });
    this.#forwarderChanged();
  }

  #disconnect(): void {
    this.forwarder?.close();
    this.forwarder = null;
    this.#forwarderQuality = null;
    this.#forwarderChanged();
  }

  #forwarderChanged(): void {
    for (const person of this.people) {
      const tracks = SLOTS.map((_, slot) => this.forwarder?.received(person.seat)[slot] ?? null);
      if (tracks.some((track, slot) => track !== person.forwarded[slot])) person.forwarded = tracks;
      // Nothing else is there to be seen.
      if (!person.link && this.forwarder) person.seen = "forwarder";
    }
    // Not while the forwarder's own beginning is what is arranged.
    queueMicrotask(() => this.#arrange());
  }

  #heardForwarder(message: FromForwarder): void {
    // Which layer one gets is to be seen.
    if (message.type !== "layer") this.forwarder?.hear(message);
  }

  /** Says what others have to know before they give up a way. */
  #sayTopology(to: Seat | null): void {
    const forwarded = this.people.filter(({ link, seen }) => seen === "forwarder" || !link).map(({ seat }) => seat);
    const said: Said = { way: this.way, forwarded: this.forwarder ? forwarded : [], pathless: this.people.some(({ pathless }) => pathless) };
    const body = JSON.stringify(said);
    if (to === null && (body === this.#announced || this.people.length === 0)) return;
    if (to === null) this.#announced = body;
    void this.#core.say(to, { kind: "control", about: CONTROL.topology, body }).catch(() => undefined);
  }

  #person(seat: Seat): Person {
    const known = this.people.find((person) => person.seat === seat);
    if (known) return known;
    const person = new Person(seat);
    this.people = [...this.people, person];
    return person;
  }

  #left(seat: Seat, how: LeftHow): void {
    const person = this.people.find((person) => person.seat === seat);
    if (!person) return;
    this.#unlink(person);
    this.people = this.people.filter((other) => other !== person);
    this.#arrange();
    this.#note(r.went[how](person.called), how === "unexplained");
  }

  #unlink(person: Person): void {
    person.link?.close();
    person.link = null;
    if (this.forwarder) person.seen = "forwarder";
    else person.verdict = "quiet";
  }

  #unlinkAll(): void {
    this.#disconnect();
    for (const person of this.people) this.#unlink(person);
    this.people = [];
    this.door = [];
  }

  #outgoing(): Outgoing {
    const sending = this.sending;
    const tracks = SLOTS.map(({ name }) => (sending[name] && !this.broken ? this[name] : null));
    return { tracks, share: { ...this.caps, degrade: PRESETS[this.preset].degrade } };
  }

  #send(): void {
    const outgoing = this.#outgoing();
    for (const { link } of this.people) link?.send(outgoing);
    this.forwarder?.send(outgoing);
    this.#lines = this.screen?.getSettings().height ?? 0;
    if (this.phase.kind === "in") this.#announce(null);
    if (!this.sending.mic) this.speaking = false;
  }

  /** Says which places hold something. */
  #announce(to: Seat | null): void {
    const words: Words = { kind: "control", about: CONTROL.tracks, body: JSON.stringify({ ...this.sending, lines: this.#lines }) };
    void this.#core.say(to, words).catch(() => undefined);
    if (to !== null && this.hand) void this.#core.say(to, { kind: "hand", up: true }).catch(() => undefined);
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#lookAtAll();
    } finally {
      this.#busy = false;
    }
  }

  async #lookAtAll(): Promise<void> {
    this.#watchLines();
    const connections: (Link | Forwarder)[] = this.people.flatMap(({ link }) => (link ? [link] : []));
    if (this.forwarder) connections.push(this.forwarder);
    const open = connections.flatMap((connection) => (connection.pc && connection.state === "connected" ? [{ connection, id: connection.id, pc: connection.pc }] : []));
    const stats = await Promise.all(open.map(async ({ pc }) => [...((await pc.getStats()) as unknown as Map<string, RTCStats>).values()]));
    // After the browser's: see selftest.ts.
    const counters = open.length > 0 ? await this.#core.counters() : [];
    const looked = new Map<Link | Forwarder, Looked>();
    for (const [at, { connection, id }] of open.entries()) {
      const counted = stats[at];
      // Begun anew meanwhile, or closed.
      if (!counted || connection.id !== id || connection.state !== "connected") continue;
      const verdict = judge(connection, counted, counters);
      if (verdict === "broken") return this.#fail(r.unsealed(this.people.find(({ link }) => link === connection)?.called ?? r.forwarder));
      looked.set(connection, { verdict, stats: counted, shown: shown(connection, counted, counters) });
    }
    const through = this.forwarder ? looked.get(this.forwarder) : undefined;
    if (through) this.#forwarderQuality = { ...measure(through.stats, this.#forwarderQuality), path: "forwarder" };
    for (const person of this.people) this.#see(person, person.link ? looked.get(person.link) : undefined, through);
    this.forwarder?.prefer(this.#wanting);
    this.#arrange();
  }

  /** Which of both ways to somebody is shown, and what is to be said of it. */
  #see(person: Person, direct: Looked | undefined, through: Looked | undefined): void {
    const { link, slots } = person;
    const byLink = link !== null && direct !== undefined && slots.every((slot) => direct.shown.some((place) => place.slot === slot));
    const byForwarder = through !== undefined && (this.forwarder?.carries(person.seat, slots, through.shown) ?? false);
    if (byForwarder && (this.way === "forwarder" || !byLink)) person.seen = "forwarder";
    else if (byLink && (this.way === "mesh" || !byForwarder)) person.seen = "mesh";
    const looked = link && person.seen === "mesh" ? direct : byForwarder ? through : undefined;
    // A broken verdict stays.
    if (person.verdict !== "broken") person.verdict = looked?.verdict ?? "quiet";
    if (looked && looked === direct) person.quality = measure(looked.stats, person.quality?.path === "forwarder" ? null : person.quality);
    else if (looked) person.quality = this.#forwarderQuality;
    // Who is away looks for no way, and who is offline hears of none.
    if (link?.state === "connected") person.lookedInVain = 0;
    else if (link?.looking && this.online && !person.away) person.lookedInVain += 1;
    person.pathless ||= person.lookedInVain > PATHLESS;
  }

  /** A window that is shared may become larger. */
  #watchLines(): void {
    const lines = this.screen?.getSettings().height ?? 0;
    if (lines === this.#lines) return;
    this.#lines = lines;
    if (this.phase.kind === "in") this.#announce(null);
  }

  /** Who is pinned or speaks comes first; what nobody looks at does not come at all. */
  #wanting: Wanting = (seat, slot) => {
    const person = this.people.find((person) => person.seat === seat);
    const pinned = this.pinned === seat;
    const video = SLOTS[slot]?.kind === "video";
    const small = this.people.length + 1 > MESH_SEATS && !pinned && !person?.speaking;
    return { priority: pinned ? 3 : person?.speaking ? 2 : 1, highest: small ? 1 : 2, pause: video && document.hidden };
  };

  /** Something passed that was not sealed: nothing is sent to anybody any more. */
  #fail(why: string): void {
    if (this.broken) return;
    this.broken = true;
    this.#note(why, true);
    this.#disconnect();
    for (const other of this.people) {
      this.#unlink(other);
      other.verdict = "broken";
    }
    app.say(r.brokenText, null, true);
  }

  #listen(): void {
    for (const person of this.people) {
      const level = person.link && person.seen === "mesh" ? person.link.level(SLOT.mic) : (this.forwarder?.level(person.seat, SLOT.mic) ?? 0);
      person.speaking = level > SPEAKING && person.sending.mic;
    }
  }

  #write(line: Omit<Line, "id" | "at">): void {
    this.chat = [...this.chat.slice(1 - MAX_SAID), { ...line, id: this.#next++, at: Date.now() }];
  }

  #note(text: string, grave = false): void {
    this.record = [...this.record.slice(1 - MAX_SAID), { id: this.#next++, text, at: Date.now(), grave }];
    app.speak(text);
  }

  #finish(phase: Phase): void {
    if (this.phase.kind === "over") return;
    this.phase = phase;
    clearInterval(this.#looking);
    clearInterval(this.#listening);
    this.#unlinkAll();
    this.takeMic(null);
    this.takeCamera(null);
    this.screen?.stop();
    this.sound?.stop();
    this.screen = this.sound = null;
    this.talking = false;
    this.#stopHearing();
    removeEventListener("online", this.#wake);
    removeEventListener("pagehide", this.#gone);
    navigator.mediaDevices?.removeEventListener("devicechange", this.#count);
    void this.#awake?.release().catch(() => undefined);
    this.#awake = null;
  }

  #wake = (): void => {
    void this.#core.wake().catch(() => undefined);
    for (const { link } of this.people) link?.refresh();
    this.forwarder?.refresh();
  };

  #gone = (): void => void this.#core.leave().catch(() => undefined);

  #count = async (): Promise<void> => {
    this.list = await devices();
  };

  async #stayAwake(): Promise<void> {
    this.#awake ??= await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  }
}

/** What another member said, if it is JSON at all. What it says is looked at where it is used. */
function read<T>(body: string): T | null {
  try {
    const value = JSON.parse(body) as unknown;
    return typeof value === "object" && value !== null ? (value as T) : null;
  } catch {
    return null;
  }
}
