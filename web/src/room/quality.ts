// How good a connection is, and which way it goes, out of what the browser counts.

export type Quality = {
  level: "good" | "fair" | "poor";
  path: "direct" | "relayed" | "forwarder" | "unknown";
  /** Milliseconds there and back. */
  rtt: number | null;
  /** Of what others send, the part that does not arrive. */
  loss: number;
  /** For so many looks in a row the way out did not carry what is to be sent. At first it never does: it is tried out. */
  narrow: number;
  received: number;
  lost: number;
};

type Stat = RTCStats & {
  selectedCandidatePairId?: string;
  nominated?: boolean;
  state?: string;
  currentRoundTripTime?: number;
  localCandidateId?: string;
  remoteCandidateId?: string;
  candidateType?: string;
  packetsReceived?: number;
  packetsLost?: number;
  qualityLimitationReason?: string;
};

export function measure(stats: readonly RTCStats[], before: Quality | null): Quality {
  const all = stats as readonly Stat[];
  const byId = new Map(all.map((stat) => [stat.id, stat]));
  const chosen = all.find((stat) => stat.type === "transport")?.selectedCandidatePairId;
  const pair = (chosen ? byId.get(chosen) : undefined) ?? all.find((stat) => stat.type === "candidate-pair" && stat.nominated && stat.state === "succeeded");
  const ends = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => (id ? byId.get(id)?.candidateType : undefined));
  const path = ends.includes("relay") ? "relayed" : pair ? "direct" : "unknown";
  let received = 0;
  let lost = 0;
  let narrow = false;
  for (const stat of all) {
    if (stat.type === "inbound-rtp") {
      received += stat.packetsReceived ?? 0;
      lost += Math.max(0, stat.packetsLost ?? 0);
    }
    if (stat.type === "outbound-rtp" && stat.qualityLimitationReason === "bandwidth") narrow = true;
  }
  const since = { received: received - (before?.received ?? 0), lost: Math.max(0, lost - (before?.lost ?? 0)) };
  const loss = since.lost === 0 ? 0 : since.lost / Math.max(1, since.lost + Math.max(0, since.received));
  const rtt = pair?.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000);
  const level = loss > 0.08 || (rtt ?? 0) > 500 ? "poor" : loss > 0.02 || (rtt ?? 0) > 250 ? "fair" : "good";
  return { level, path, rtt, loss, narrow: narrow ? (before?.narrow ?? 0) + 1 : 0, received, lost };
}
