// The viewer's calls by name: what the page may send, and what its worker answers.

import type { Backstage } from "./methods";
import type { Viewer } from "./viewer";

const METHODS = ["wantsPassword", "open", "openVideo", "part", "report", "close"] as const satisfies readonly (keyof Viewer)[];

export type ViewerCore = Pick<Viewer, (typeof METHODS)[number]> & Pick<Backstage, "startDownload" | "serveDownload">;
export const VIEWER_METHODS: readonly (keyof ViewerCore)[] = [...METHODS, "startDownload", "serveDownload"];
