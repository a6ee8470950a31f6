// Session descriptions (RFC 8866) are taken as the browser writes them, but for what it has no other means to say, and for what it
// writes wrongly.

/** Lets Opus be stereo in one section: each side reads from the other's description what it wants to hear. */
export function withStereo(sdp: string, mid: string): string {
  const sections = sdp.split(/(?=^m=)/m);
  const changed = sections.map((section) => {
    if (!section.startsWith("m=audio") || /^a=mid:(\S+)/m.exec(section)?.[1] !== mid) return section;
    const opus = /^a=rtpmap:(\d+) opus\//im.exec(section)?.[1];
    if (opus === undefined || /stereo=1/.test(section)) return section;
    return section.replace(new RegExp(`^a=fmtp:${opus} .*$`, "m"), (line) => `${line};stereo=1;sprop-stereo=1`);
  });
  return changed.join("");
}

/**
 * Firefox (153) leaves the feedback of codecs that it was told not to offer in its offer, which Chromium refuses whole:
 * "Failed to parse codecs correctly". An attribute of a payload type that its section does not name says nothing to anybody.
 */
export function withoutStrays(sdp: string): string {
  const sections = sdp.split(/(?=^m=)/m);
  const changed = sections.map((section) => {
    const named = /^m=\S+ \S+ \S+ (.*)$/m.exec(section)?.[1]?.trim().split(" ");
    if (!named) return section;
    return section.replace(/^a=(?:rtcp-fb|fmtp|rtpmap):(\d+) .*\r?\n/gm, (line, type: string) => (named.includes(type) ? line : ""));
  });
  return changed.join("");
}

/** The forwarder finds a browser by its checks; nobody is told where else it may be. */
export const withoutAddresses = (sdp: string): string =>
  sdp
    .replace(/^a=(candidate:|end-of-candidates|rtcp:).*\r?\n/gm, "")
    .replace(/^c=IN .*$/gm, "c=IN IP4 0.0.0.0")
    .replace(/^m=(\w+) \d+ /gm, "m=$1 9 ");
