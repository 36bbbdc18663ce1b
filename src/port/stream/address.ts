/** Where a stream port listens or connects: the path of a Unix socket, or a TCP host and port. */
import { statSync, unlinkSync } from 'node:fs';
import { isAnswered } from '../../sys/unix-socket.ts';

/** As `net.connect` and `server.listen` take it. */
export type StreamAddress = { path: string } | { host: string; port: number };

export const STREAM_ADDRESS =
  'the path of a Unix socket, with a "/" and of at most 107 bytes, or HOST:PORT such as 127.0.0.1:5555 or [::1]:5555';

/** @returns undefined when the text is neither */
export function parseAddress(text: string): StreamAddress | undefined {
  if (text.includes('/')) return Buffer.byteLength(text) <= 107 ? { path: text } : undefined;
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) return undefined;
  return { host, port: Number(port) };
}

/** Removes the file of a Unix socket on which nobody listens any more; a live one is left alone. */
export async function removeStale(address: StreamAddress): Promise<void> {
  if (!('path' in address)) return;
  if (!statSync(address.path, { throwIfNoEntry: false })?.isSocket()) return;
  if (!(await isAnswered(address.path))) unlinkSync(address.path);
}
