// One scheme plugin for Shaka Player: e2e://<video>/… is answered by the worker that holds the keys, already opened. Manifests, inits and
// segments, DASH and HLS, take the same road; retries, aborts and bandwidth stay the player's.
//
// Register it with the module of the player that the page loads when it is needed:
//   registerScheme(shaka, source)

import type { Source } from "./source";
import { asVaultError } from "./rpc";

/** The few corners of Shaka that are touched here; its own module fits. */
export interface PlayerModule {
  net: {
    NetworkingEngine: {
      registerScheme(scheme: string, plugin: SchemePlugin, priority?: number, progressSupport?: boolean): void;
      PluginPriority: { APPLICATION: number };
    };
  };
  util: {
    AbortableOperation: new (promise: Promise<PlayerResponse>, onAbort: () => Promise<void>) => AbortableOperation;
    Error: PlayerErrorClass;
  };
}
type AbortableOperation = object;
type SchemePlugin = (
  uri: string,
  request: unknown,
  type: unknown,
  progressUpdated: ((elapsedMs: number, bytes: number, remaining: number) => void) | undefined,
) => AbortableOperation;
type PlayerResponse = {
  uri: string;
  originalUri: string;
  data: ArrayBuffer;
  headers: Record<string, string>;
  timeMs: number;
  fromCache: boolean;
  status: number;
};
type PlayerErrorClass = {
  new (severity: number, category: number, code: number, ...data: unknown[]): object;
  Severity: { RECOVERABLE: number; CRITICAL: number };
  Category: { NETWORK: number };
  Code: { HTTP_ERROR: number; OPERATION_ABORTED: number };
};

/** Codes that may pass by themselves: the player tries again. Whatever else went wrong stays wrong. */
const PASSING = new Set(["offline", "slow_down", "server_failed"]);

/** For the whole page, once: schemes are global in Shaka. A failed part carries the VaultError as `data[2]`. */
export function registerScheme(shaka: PlayerModule, source: Source): void {
  const { NetworkingEngine } = shaka.net;
  const { AbortableOperation, Error: PlayerError } = shaka.util;
  const plugin: SchemePlugin = (uri, _request, _type, progressUpdated) => {
    const controller = new AbortController();
    const answer = source.part(uri, controller.signal).then(
      ({ bytes, contentType, fetchMs }): PlayerResponse => {
        progressUpdated?.(fetchMs, bytes.byteLength, 0);
        const headers = { "content-type": contentType };
        return { uri, originalUri: uri, data: bytes, headers, timeMs: fetchMs, fromCache: false, status: 200 };
      },
      (thrown: unknown): never => {
        const error = asVaultError(thrown);
        const { Severity, Category, Code } = PlayerError;
        if (error.code === "aborted") throw new PlayerError(Severity.RECOVERABLE, Category.NETWORK, Code.OPERATION_ABORTED);
        const severity = PASSING.has(error.code) ? Severity.RECOVERABLE : Severity.CRITICAL;
        throw new PlayerError(severity, Category.NETWORK, Code.HTTP_ERROR, uri, error.message, error);
      },
    );
    return new AbortableOperation(answer, () => {
      controller.abort();
      return Promise.resolve();
    });
  };
  NetworkingEngine.registerScheme("e2e", plugin, NetworkingEngine.PluginPriority.APPLICATION, true);
}
