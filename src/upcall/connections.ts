/**
 * Connections, as the handler lists and flushes them: a slice at a time, so that no miss waits for a table of a
 * million. Whoever asks comes back for the next slice. Records go on as they are; the control side reads them.
 */
import { CONNECTION_STRIDE, type Datapath, NONE } from '../datapath.ts';

/** What one slice may take. */
const SLICE_MS = 1;
/** Connections looked at, or flushed, between two looks at the clock. */
const STRETCH = 256;
const BYTES_A_SLICE = 1024 * CONNECTION_STRIDE;

/** Copies of records, and where to go on; no `next`: that was all. */
export interface ConnectionSlice {
  records: Uint8Array;
  next?: number;
  /** When, on the switch clock. */
  nowMs: number;
}

/** How many were flushed; `next` the same. */
export interface FlushSlice {
  count: number;
  next?: number;
}

/** The next connections from number `from` on that pass `filter`. */
export function listSlice(datapath: Datapath, from: number, filter: Uint8Array): ConnectionSlice {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const rest = walk(from, (at) => {
    if (bytes >= BYTES_A_SLICE) return undefined;
    const { records, next } = datapath.listConnections(at, STRETCH, filter);
    parts.push(records.slice());
    bytes += records.length;
    return next;
  });
  return { records: joined(parts, bytes), nowMs: datapath.nowMs, ...rest };
}

/** Removes those from number `from` on that pass `filter`. */
export function flushSlice(datapath: Datapath, from: number, filter: Uint8Array): FlushSlice {
  let flushed = 0;
  const rest = walk(from, (at) => {
    const { count, next } = datapath.flushConnections(at, STRETCH, filter);
    flushed += count;
    return next;
  });
  return { count: flushed, ...rest };
}

/** Takes steps until the time is over, or `step`, which says where to go on, has enough. */
function walk(from: number, step: (at: number) => number | undefined): { next?: number } {
  const untilMs = performance.now() + SLICE_MS;
  let at = from;
  do {
    const next = step(at);
    if (next === NONE) return {};
    if (next === undefined) break;
    at = next;
  } while (performance.now() < untilMs);
  return { next: at };
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
