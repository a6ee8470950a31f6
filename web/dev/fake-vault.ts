// A make-believe vault, to look at every screen and state without a server. Never bundled, never tested against.
// Choose a scenario with ?scenario=… or, on a page that is open, with show("…", "/address") (see tests/states.ts).

import type { Access, Contact, GrantLog, Id, LibraryQuery, Playable, Policy, Probe, Received, Room, Share, TrackReport, UploadState, Vault, VaultEvent, VideoRow } from "../src/core/vault";

export type Fake = { vault: Vault; onVault: (listener: (event: VaultEvent) => void) => () => void };

export function makeFake(scenario: string): Fake {
  const listeners = new Set<(event: VaultEvent) => void>();
  const onVault = (listener: (event: VaultEvent) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const tell = (event: VaultEvent) => listeners.forEach((listener) => listener(event));
  const fail = (code: string, message = "", detail?: unknown) => Promise.reject({ code, message, detail });
  const later = <T>(value: T, ms = 20) => new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));
  const never = () => new Promise<never>(() => undefined);

  let seed = 7;
  const random = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff);
  const NOW = Date.now();
  const DAY = 86_400_000;
  const LONG =
    "The very long afternoon on which the whole family, both grandmothers, three dogs and a borrowed canoe tried to cross the lake before the rain, and what became of the picnic that nobody had remembered to take";
  const special = [
    "First steps in the garden",
    LONG,
    "رحلة إلى البحر مع جدتي في صيف ٢٠١٩",
    "יום הולדת שמח: הסרט המלא",
    "Birthday.2021.final.FINAL(2).cut-Averyveryverylongunbrokenfilenamewithoutanyspaceatall_0123456789",
    "Snow",
    "夏の終わりの花火大会",
  ];
  const words = "Evening at the lake,Morning fog over the harbour,Concert in the old church,Swimming lesson,Train to the coast,Kitchen talk,Kite,Mia's recital,Garden in May,Night market,The new puppy,Grandpa tells the story of the boat".split(",");
  const hex = (n: number) => n.toString(16).padStart(4, "0");
  const rows: VideoRow[] = Array.from({ length: scenario === "few" ? 6 : 1000 }, (_, i) => {
    const watched = i % 9 === 3 ? Math.floor(random() * 500) + 60 : null;
    const durationMs = i === 5 ? 4_000 : Math.floor(random() ** 3 * 7_000_000) + 20_000;
    return {
      id: `01930000-0000-7000-8000-00000000${hex(Math.floor(random() * 65535))}${i}`,
      title: special[i] ?? `${words[i % words.length]} ${i > 20 ? i : ""}`.trim(),
      fileName: `IMG_${4000 + i}.MOV`,
      state: i % 41 === 40 ? "trashed" : "kept",
      addedAt: NOW - i * DAY * 0.7 - 3_600_000,
      capturedAt: i % 3 ? NOW - i * DAY * 2 : null,
      durationMs,
      bytes: Math.floor(random() * 3e9) + 2e6,
      width: i % 17 === 11 ? null : 1920,
      height: i % 17 === 11 ? null : 1080,
      hasPoster: i % 5 !== 4 && i % 17 !== 11,
      trashedAt: i % 41 === 40 ? NOW - i * DAY * 0.1 : null,
      position: watched === null ? null : Math.min(watched, durationMs / 1100),
      finished: i % 13 === 7,
    };
  });
  const byId = new Map(rows.map((row) => [row.id, row]));
  let playlists = [
    { id: "p1", name: "Summer by the sea", path: null, videos: rows.slice(0, 14).map((row) => row.id) },
    { id: "p2", name: LONG, path: null, videos: rows.slice(20, 23).map((row) => row.id) },
    { id: "p3", name: "عائلة", path: null, videos: [] as Id[] },
    { id: "p4", name: "To cut", path: null, videos: rows.slice(30, 90).map((row) => row.id) },
  ];

  async function picture(id: Id): Promise<Blob> {
    const n = parseInt(id.slice(24, 28), 16);
    const canvas = new OffscreenCanvas(320, 180);
    const c = canvas.getContext("2d")!;
    const sky = c.createLinearGradient(0, 0, 0, 180);
    const hue = n % 360;
    sky.addColorStop(0, `hsl(${hue} 45% ${25 + (n % 30)}%)`);
    sky.addColorStop(0.6, `hsl(${(hue + 40) % 360} 60% 60%)`);
    sky.addColorStop(1, `hsl(${(hue + 200) % 360} 30% 18%)`);
    c.fillStyle = sky;
    c.fillRect(0, 0, 320, 180);
    for (let k = 0; k < 3; k++) {
      c.fillStyle = `hsl(${(hue + 220) % 360} 35% ${22 - k * 7}%)`;
      c.beginPath();
      c.moveTo(0, 180);
      for (let x = 0; x <= 320; x += 8) c.lineTo(x, 120 + k * 18 + Math.sin((x + n * (k + 1)) / (34 - k * 6)) * (16 - k * 3));
      c.lineTo(320, 180);
      c.fill();
    }
    return canvas.convertToBlob({ type: "image/webp" });
  }

  const track = (kind: TrackReport["kind"], codecName: string, detail: string, plays: [boolean, boolean, boolean, boolean | null], language: string | null = null): TrackReport => ({
    kind, codec: codecName, codecName, language, detail, plays: { chromium: plays[0], firefox: plays[1], safari: plays[2], here: plays[3] },
  });
  const H264 = track("video", "H.264", "1920 × 1080, 30 frames a second", [true, true, true, true]);
  const HEVC = track("video", "HEVC", "3840 × 2160, 60 frames a second, HDR", [false, true, true, false]);
  const AAC = track("audio", "AAC", "stereo, 48 kHz", [true, true, true, true], "en");
  const AC3 = track("audio", "AC-3", "5.1, 48 kHz", [false, false, true, false], "de");

  const probeOf = (name: string, size: number): Probe => ({
    name, bytes: size, format: "MP4", durationMs: 754_000, capturedAt: NOW - 40 * DAY,
    tracks: name.includes("hevc") ? [HEVC, AAC, AC3] : [H264, AAC], warnings: name.includes("edit") ? ["Its first 2 seconds are hidden by an edit list; they are kept."] : [],
    already: name.includes("again") ? rows[0]!.id : null,
  });

  const phases: UploadState["phase"][] = ["sealing", "sealing", "probing", "waiting", "committing", "paused", "needs-file", "failed", "failed", "done", "done", "done", "done"];
  const failures = [{ code: "quota_exceeded", message: "", detail: { used: 98e9, quota: 100e9 } }, { code: "offline", message: "" }];
  const checks: UploadState["check"][] = [
    { state: "offered", done: 0, total: 0, message: null }, { state: "running", done: 31, total: 96, message: null },
    { state: "good", done: 96, total: 96, message: null }, { state: "bad", done: 40, total: 96, message: "Pack 40 did not pass its check." },
  ];
  function makeUploads(n: number): UploadState[] {
    return Array.from({ length: n }, (_, i) => {
      const phase = i < phases.length ? phases[i]! : i < 20 ? "done" : "waiting";
      const total = Math.floor(2e8 + i * 77e6);
      const part = phase === "done" ? 1 : phase === "waiting" || phase === "probing" ? 0 : phase === "committing" ? 1 : 0.18 + (i % 7) / 10;
      return {
        id: `u${i}`, name: `IMG_${4000 + i}.MOV`, title: i === 1 ? LONG : (special[i % special.length] ?? "Video"), video: phase === "done" ? rows[i]!.id : null, phase,
        bytesDone: Math.floor(total * part), bytesTotal: phase === "probing" ? 0 : total, packsDone: Math.floor(12 * part), packsTotal: 12,
        bytesPerSecond: phase === "sealing" ? 12.4e6 : null, secondsLeft: phase === "sealing" ? 340 : null,
        waiting: phase === "waiting" && i === 3 ? "Waits for the uploads before it." : null, probe: null,
        error: phase === "failed" ? failures[i % 2]! : null, check: phase === "done" ? checks[i % 4]! : checks[0]!,
      };
    });
  }
  let uploads: UploadState[] = scenario === "uploads" || scenario === "offline-banner" ? makeUploads(40) : scenario === "upload-one" ? makeUploads(1) : [];

  const open: Access = { kind: "open", username: "mara", account: "a1", role: "owner" };
  const accesses: Record<string, Access> = {
    starting: { kind: "starting" },
    unsupported: { kind: "unsupported", missing: ["secure-context", "webcrypto", "mse"] },
    offline: { kind: "offline", message: "" },
    "needs-setup": { kind: "needs-setup" },
    "signed-out": { kind: "signed-out" },
    setup: { kind: "needs-setup" },
    locked: { kind: "locked", username: "mara" },
  };
  let access: Access = accesses[scenario] ?? open;
  const go = (to: Access) => {
    access = to;
    tell({ kind: "access", access });
  };
  let revision = 1;
  const changed = () => tell({ kind: "library", revision: ++revision });
  if (scenario === "ended") setTimeout(() => go({ kind: "signed-out" }), 300);
  if (scenario === "alarm") setTimeout(() => tell({ kind: "alarm", alarm: { code: "rollback", message: "" } }), 300);
  if (scenario === "offline-banner") setTimeout(() => tell({ kind: "online", online: false }), 300);
  if (scenario === "toasts") setTimeout(() => void vault.trash([rows[0]!.id]), 300);

  const phrase = "gather orbit velvet lantern mimic harbor quiet sunset pencil ribbon acid glove ocean candle merit frozen tunnel daisy walnut copper entry silver gospel amber".split(" ");

  function listed(query: LibraryQuery): VideoRow[] {
    const { within } = query;
    let list = rows.filter((row) => (within.kind === "trash" ? row.state === "trashed" : row.state === "kept"));
    if (scenario === "empty") list = [];
    if (within.kind === "continue") list = list.filter((row) => row.position && !row.finished);
    if (within.kind === "playlist") {
      const ids = playlists.find((each) => each.id === within.id)?.videos ?? [];
      list = ids.map((id) => byId.get(id)!).filter((row) => row.state === "kept");
    }
    const text = query.search.toLowerCase();
    if (text) list = list.filter((row) => `${row.title} ${row.fileName}`.toLowerCase().includes(text));
    if (within.kind !== "playlist") {
      const key = (row: VideoRow): number | string =>
        query.sort === "title" ? row.title : query.sort === "duration" ? row.durationMs : query.sort === "size" ? row.bytes : query.sort === "captured" ? (row.capturedAt ?? 0) : query.sort === "watched" ? (row.position ?? 0) : row.addedAt;
      list = [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1) * (query.descending ? -1 : 1));
    }
    return list;
  }

  const limits = (some: Partial<Policy>): Policy => ({ from: null, until: null, maxViewers: null, maxPlays: null, maxAtOnce: null, embedOrigins: [], download: false, ...some });
  const link = (id: string) => `https://home.example/v/01930000-0000-7000-8000-0000000000${id}#AQCq0pUuWq3S1gZJm1n0o2p3q4r5s6t7u8v9w0x1y2z3A4B5`;
  const madeShare = (id: string, some: Partial<Share>): Share => ({
    share: id, kind: "link", label: "", mark: false, password: false, link: link(id), playlist: null, videos: [], policy: limits({}), createdAt: NOW - 9 * DAY,
    revokedAt: null, viewers: 1, plays: 3, watching: 0, watchedAt: NOW - DAY, ...some,
  });
  let shares: Share[] =
    scenario !== "shared" && scenario !== "log-changed" && scenario !== "shared-open" ? [] :
    [
      madeShare("01", { label: "Ana, cohort 3", mark: true, watching: 1, policy: limits({ until: NOW + 6 * DAY, maxAtOnce: 1, embedOrigins: ["https://course.example.org"] }) }),
      madeShare("02", { label: "خالتي مريم", password: true, policy: limits({ from: NOW + DAY }) }),
      madeShare("03", { label: LONG, kind: "audience", plays: 212, policy: limits({ until: NOW - DAY }) }),
      madeShare("04", { label: "Jo", plays: 5, policy: limits({ maxPlays: 5 }) }),
      madeShare("11", { label: "Ana", kind: "given", link: null, plays: 0, viewers: 0, watchedAt: null }),
      madeShare("12", { label: "Ben", kind: "lent", link: null }),
      madeShare("05", { label: "The neighbours", revokedAt: NOW - 2 * DAY }),
      madeShare("06", { label: "", policy: null, link: null }),
      ...(scenario === "shared-open" ? [madeShare("07", { label: "Concert", kind: "open" })] : []),
    ];
  const agents = ["Firefox on Linux", "Chrome on Android", "Safari on iOS"];
  const log: GrantLog = {
    grants: 4182, cleared: 120,
    playbacks: Array.from({ length: 24 }, (_, i) => ({
      playback: `play${i}`, share: "01", label: i % 4 === 3 ? "" : (shares[i % 3]?.label ?? ""), firstAt: NOW - i * i * DAY * 0.05 - 900_000, lastAt: NOW - i * i * DAY * 0.05 - 200_000,
      grants: 190 - i, furthestMs: 700_000 / (1 + (i % 5)), network: i % 2 ? "203.0.113.0/24" : "2001:db8:12::/48", agent: agents[i % 3]!, watching: i === 0, startupMs: 640 + i * 31, stalls: i % 6 === 5 ? 2 : 0,
    })),
  };

  const print = "9f2ab31c04d5e6f7089a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60";
  let contacts: Contact[] =
    scenario === "people" || scenario === "received" ?
      [
        { account: "01930000-0000-7000-8000-0000000000a1", name: "Ana", fingerprint: print, verifiedAt: NOW - 40 * DAY },
        { account: "01930000-0000-7000-8000-0000000000a2", name: "خالتي مريم", fingerprint: print, verifiedAt: NOW - 2 * DAY },
        { account: "01930000-0000-7000-8000-0000000000a3", name: LONG.slice(0, 100), fingerprint: print, verifiedAt: NOW },
      ]
    : [];
  const titles = (n: number, from: number) => rows.slice(from, from + n).map((row) => ({ video: row.id, title: row.title }));
  const sent = (share: string, some: Partial<Received>): Received => ({
    share, sender: "01930000-0000-7000-8000-0000000000a1", from: "Ana", kind: "given", policy: limits({}), createdAt: NOW - 3 * DAY, contents: { state: "open", name: "First steps in the garden", videos: titles(1, 0) }, ...some,
  });
  const received: Received[] =
    scenario !== "received" ? [] :
    [
      sent("r1", {}),
      sent("r2", { from: "خالتي مريم", kind: "lent", policy: limits({ until: NOW + 5 * DAY }), contents: { state: "open", name: LONG, videos: titles(4, 1) } }),
      sent("r3", { kind: "lent", policy: limits({ until: NOW - DAY }), contents: { state: "open", name: "Snow", videos: titles(1, 5) } }),
      sent("r4", { from: null, sender: "01930000-0000-7000-8000-0000000000ee", contents: { state: "quarantined", fingerprint: print } }),
      sent("r5", { contents: { state: "refused", error: { code: "changed_key", message: "" } } }),
      sent("r6", { contents: { state: "refused", error: { code: "tampered", message: "" } } }),
    ];

  const madeRoom = (name: string, live: number, lobby: boolean): Room => ({
    room: `01930000-0000-7000-8000-00000000c${String(name.length).padStart(3, "0")}`, name, live, lobby, createdAt: NOW - 3 * DAY, maxSeats: 8, expiresAt: null,
    link: `https://home.example/r/01930000-0000-7000-8000-0000000000c0#${"AQABAgMEBQYHCAkKCwwNDg8Q".repeat(4)}`,
  });
  const vault: Vault = {
    access: () => (scenario === "starting" ? never() : later(access)),
    retry: () => later(access, 400),
    register: () => later({ phrase }, 300).then((made) => (go(open), made)),
    passwordAdvice: (password) => later({ score: Math.min(4, Math.floor(password.length / 4)), good: password.length >= 12, advice: password.length >= 12 ? "" : "Add another word or two" }),
    suggestPassword: () => later("velvet-orbit-lantern-mimic-harbor"),
    signIn: ({ password }) => (password === "wrong" ? later(0, 200).then(() => fail("wrong_password")) : later(0, 400).then(() => go(open))),
    unlock: (password) => (password === "wrong" ? later(0, 200).then(() => fail("wrong_password")) : later(0, 400).then(() => go(open))),
    lock: async () => go({ kind: "locked", username: "mara" }),
    active: async () => undefined,
    signOut: async () => go({ kind: "signed-out" }),
    recover: () => fail("phrase_checksum"),
    changePassword: () => later(undefined, 500),
    account: () => (scenario === "settings-failed" ? fail("unavailable") : later({ username: "mara", role: "owner", usedBytes: 412e9, quotaBytes: scenario === "full" ? 1e12 : null, createdAt: NOW - 90 * DAY })),
    devices: () =>
      scenario === "settings-failed" ? fail("offline") :
      later([
        { session: "s1", device: "Firefox on Linux", createdAt: NOW - 20 * DAY, seenAt: NOW - 20_000, current: true },
        { session: "s2", device: "Command line on a-very-long-host-name.attic.example", createdAt: NOW - 60 * DAY, seenAt: NOW - 3 * DAY, current: false },
      ]),
    endDevice: () => later(undefined),
    invites: () =>
      later([
        { invite: "i1", label: "Grandma", expiresAt: NOW + 3 * DAY, link: "https://home.example/join#4b1d0f5c6a7e8d9c0b1a2f3e4d5c6b7a" },
        { invite: "i2", label: "Jo", expiresAt: NOW - DAY, link: null },
      ]),
    invite: ({ label }) => later({ invite: "i3", label, expiresAt: NOW + 7 * DAY, link: "https://home.example/join#ffff" }),
    endInvite: () => later(undefined),
    settings: () => later({ autoLockMinutes: 15, theme: (localStorage.getItem("gloaming.theme") as "dark" | null) ?? "system" }),
    saveSettings: () => later(undefined),
    sync: () => later(undefined),
    view: (query) =>
      scenario === "loading" ? never() : scenario === "library-failed" ? fail("tampered") :
      later({ revision, total: listed(query).length, ids: listed(query).map((row) => row.id), playlists: scenario === "empty" ? [] : playlists }),
    rows: (ids) => later(ids.flatMap((id) => byId.get(id) ?? [])),
    poster: (id) => picture(id),
    setPoster: () => later(undefined),
    rename: async (id, title) => { byId.get(id)!.title = title; changed(); },
    trash: async (ids) => { ids.forEach((id) => (byId.get(id)!.state = "trashed")); changed(); },
    restore: async (ids) => { ids.forEach((id) => (byId.get(id)!.state = "kept")); changed(); },
    deleteForGood: async (ids) => { ids.forEach((id) => { rows.splice(rows.indexOf(byId.get(id)!), 1); }); changed(); },
    createPlaylist: async (name) => { const id = `p${playlists.length + 1}`; playlists = [...playlists, { id, name, path: null, videos: [] }]; changed(); return id; },
    renamePlaylist: async (id, name) => { playlists = playlists.map((list) => (list.id === id ? { ...list, name } : list)); changed(); },
    deletePlaylist: async (id) => { playlists = playlists.filter((list) => list.id !== id); changed(); },
    addToPlaylist: async (id, videos) => { playlists = playlists.map((list) => (list.id === id ? { ...list, videos: [...list.videos, ...videos] } : list)); changed(); },
    addToFolder: async () => undefined,
    takeFromFolders: async (paths) => paths.flatMap((path, at) => (path.endsWith(".txt") ? [] : [{ at, folder: path.slice(0, path.lastIndexOf("/")) }])),
    removeFromPlaylist: async (id, videos) => { playlists = playlists.map((list) => (list.id === id ? { ...list, videos: list.videos.filter((video) => !videos.includes(video)) } : list)); changed(); },
    moveInPlaylist: async (id, video, to) => {
      playlists = playlists.map((list) => {
        if (list.id !== id) return list;
        const videos = list.videos.filter((each) => each !== video);
        videos.splice(to, 0, video);
        return { ...list, videos };
      });
      changed();
    },
    probe: (file) => (file.name.endsWith(".txt") ? fail("media_not_media") : file.name.includes("cut") ? fail("media_truncated") : later(probeOf(file.name, file.size), 60)),
    upload: async (files) => { uploads = makeUploads(files.length); tell({ kind: "uploads", uploads }); return uploads.map((upload) => upload.id); },
    uploads: () => later(uploads),
    pauseUpload: async () => undefined,
    resumeUpload: async () => undefined,
    retryUpload: async () => undefined,
    cancelUpload: async (id) => { uploads = uploads.filter((upload) => upload.id !== id); tell({ kind: "uploads", uploads }); },
    dismissUpload: async (id) => { uploads = uploads.filter((upload) => upload.id !== id); tell({ kind: "uploads", uploads }); },
    keptHandle: async () => null,
    giveFile: () => fail("other_file"),
    checkStored: async () => undefined,
    share: (ask) => {
      const { kind, label, mark, policy } = ask;
      const one = madeShare("09", { kind, label, mark, policy, password: ask.password !== null, plays: 0, viewers: 0 });
      shares = [one, ...shares];
      return later(one, 60);
    },
    shares: () => later(shares),
    setPolicy: (id, policy) => { shares = shares.map((one) => (one.share === id ? { ...one, policy } : one)); return later(shares.find((one) => one.share === id)!); },
    revoke: (id) => { shares = shares.map((one) => (one.share === id ? { ...one, revokedAt: Date.now() } : one)); return later(shares.find((one) => one.share === id)!); },
    contactLink: () => (scenario === "people-failed" ? fail("offline") : later({ link: `https://home.example/c/01930000-0000-7000-8000-0000000000a0#AZ8qsxwE1eb3CJobLD1OX2BxgpOktcbX6PkKGyw9Tl9gvQY`, fingerprint: print })),
    contacts: () => (scenario === "people-failed" ? fail("tampered") : later(contacts)),
    readContact: (link) => {
      const account = link.split("/c/")[1]?.split("#")[0] ?? "";
      if (!link.includes("#")) return fail("link_incomplete");
      const known = contacts.find((one) => one.account === account);
      return later({ account, fingerprint: print, own: account.endsWith("a0"), name: known?.name ?? null, changed: known !== undefined && link.endsWith("changed") });
    },
    addContact: async ({ link, name }) => {
      if (scenario === "people-changed") return fail("changed_key");
      const one = { account: link.split("/c/")[1]?.split("#")[0] ?? "", name: name ?? "Ana", fingerprint: print, verifiedAt: Date.now() };
      contacts = [...contacts.filter((other) => other.account !== one.account), one];
      return later(one);
    },
    removeContact: async (account) => { contacts = contacts.filter((one) => one.account !== account); },
    shareWith: ({ to, lend, mark, policy }) => {
      if (to.endsWith("a2")) return later(0, 60).then(() => fail("changed_key"));
      const one = madeShare("10", { kind: lend ? "lent" : "given", label: contacts.find((each) => each.account === to)?.name ?? "", mark, policy, link: null, plays: 0, viewers: 0 });
      shares = [one, ...shares];
      return later(one, 60);
    },
    received: () => (scenario === "received-failed" ? fail("offline") : scenario === "received-loading" ? never() : later(received)),
    openReceived: async (share, video) => {
      const one = received.find((each) => each.share === share);
      if (!one || one.contents.state !== "open") return fail("not_found");
      if (share === "r3") return fail("share_expired");
      const { name, videos } = one.contents;
      const playable = { ...(await vault.open(video)), title: videos.find((each) => each.video === video)?.title ?? "", resumeAt: 0 };
      return { kind: one.kind, from: one.from ?? "", name, mark: share === "r2" ? "Mara" : "", mayDownload: one.kind === "given", videos, playable };
    },
    downloadReceived: () => fail("offline"),
    grantLog: () => (scenario === "log-changed" ? fail("fork") : later(log)),
    rooms: () =>
      scenario === "rooms-failed" ? fail("offline") :
      later(scenario !== "rooms" ? [] : [madeRoom("Tuesday, 7 pm", 3, true), madeRoom(LONG, 0, false), { ...madeRoom("", 1, false), link: null, expiresAt: NOW + 5 * DAY }]),
    makeRoom: () => later(madeRoom("Thursday", 0, false), 60),
    endRoom: async () => undefined,
    lendRoomKeys: async () => ({ username: "mara", host: true }),
    changeRoomLink: async () => undefined,
    open: (id) => {
      if (scenario === "video-failed") return fail("tampered");
      if (scenario === "video-loading") return never();
      const row = byId.get(id);
      if (!row) return fail("not_found");
      const playable: Playable = {
        video: id, title: row.title, durationMs: row.durationMs, resumeAt: row.position ?? 0, manifest: `e2e://${id}/manifest.mpd`,
        audio: [], text: [], 
        chapters: scenario === "partly" ? [{ startMs: 0, title: "At the pier" }, { startMs: 61_000, title: "Rain" }] : [],
        details: scenario === "unplayable" ? [HEVC, AC3] : scenario === "partly" ? [H264, AAC, { ...AC3, plays: { ...AC3.plays, here: false } }] : [H264, AAC],
      };
      return later(playable);
    },
    part: () => never(),
    savePosition: async () => undefined,
    close: async () => undefined,
    download: () => fail("offline"),
  };

  return { vault, onVault };
}
