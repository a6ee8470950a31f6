// The worker's side of a download: a chunk for every pull.

type Source = {
  /** The next bytes of the file, or none at its end. */
  downloadChunk(download: number): Promise<Uint8Array | undefined>;
  endDownload(download: number): void;
};

/** Kept when the file is out, was given up, or failed: then with what went wrong. */
export function serve(source: Source, download: number, port: MessagePort): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    port.onmessage = ({ data }: MessageEvent<"pull" | "cancel">) => {
      if (data === "cancel") resolve();
      else void send();
    };
    const send = async () => {
      try {
        const chunk = await source.downloadChunk(download);
        if (!chunk) {
          port.postMessage(null);
          resolve();
          return;
        }
        // Moved, not copied, where the chunk is all there is in its buffer.
        const whole = chunk.buffer instanceof ArrayBuffer && chunk.byteLength === chunk.buffer.byteLength;
        const bytes = whole ? (chunk.buffer as ArrayBuffer) : chunk.slice().buffer;
        port.postMessage(bytes, [bytes]);
      } catch (error) {
        port.postMessage({ error: error instanceof Error ? error.message : "it could not be opened" });
        reject(error);
      }
    };
  }).finally(() => {
    source.endDownload(download);
    // The last message is still on its way.
    setTimeout(() => port.close(), 1000);
  });
}
