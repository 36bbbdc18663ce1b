/**
 * Who watches connections, and what each has not been told yet. The datapath's threads note events only while
 * somebody does. Every watcher has a filter and a queue with a limit; what does not fit is lost to it, and counted,
 * as is what a thread had no room for.
 */
import { type Datapath, EVENT_STRIDE } from '../datapath.ts';
import { parseConnectionFilter } from '../table/connection-filter.ts';
import { MONITORS_MAX } from './monitors.ts';

/** Drained between two batches of misses. */
const EVENTS_A_ROUND = 256;
const EVENTS_MAX = 8192;

/** Event records, and how many more there were. */
export interface EventSlice {
  records: Uint8Array;
  lost: number;
}

class Watcher {
  readonly filter: Uint8Array;
  readonly #events = new Uint8Array(EVENTS_MAX * EVENT_STRIDE);
  #length = 0;
  #lost = 0;

  constructor(filter: Uint8Array) {
    this.filter = filter;
  }

  add(event: Uint8Array): void {
    if (this.#length === this.#events.length) return this.lose(1);
    this.#events.set(event, this.#length);
    this.#length += event.length;
  }

  lose(events: number): void {
    this.#lost += events;
  }

  take(): EventSlice {
    const slice = { records: this.#events.slice(0, this.#length), lost: this.#lost };
    this.#length = 0;
    this.#lost = 0;
    return slice;
  }
}

export class ConnectionEvents {
  readonly #datapath: Datapath;
  readonly #watchers = new Map<number, Watcher>();

  /** Nobody watches; also not those who asked a handler that died, until they ask again. */
  constructor(datapath: Datapath) {
    this.#datapath = datapath;
    datapath.exports.watchEvents(false);
  }

  /** Takes some of what the threads have noted; returns how much. */
  drain(): number {
    if (this.#watchers.size === 0) return 0;
    const { exports } = this.#datapath;
    const lost = exports.takeLostEvents() >>> 0;
    if (lost > 0) for (const watcher of this.#watchers.values()) watcher.lose(lost);
    for (let n = 0; n < EVENTS_A_ROUND; n++) {
      const event = this.#datapath.nextEvent();
      if (!event) return n;
      for (const watcher of this.#watchers.values()) {
        if (this.#datapath.passes(event, watcher.filter)) watcher.add(event);
      }
      exports.endEvent();
    }
    return EVENTS_A_ROUND;
  }

  /**
   * What happened since `id` last asked; one that has never asked watches from now on.
   * @throws FlowError when its filter is wrong, Error when too many watch
   */
  take(id: number, filter: readonly string[]): EventSlice {
    this.drain();
    let watcher = this.#watchers.get(id);
    if (!watcher) {
      if (this.#watchers.size >= MONITORS_MAX) throw new Error(`more than ${MONITORS_MAX} watch connections`);
      watcher = new Watcher(parseConnectionFilter(filter));
      if (this.#watchers.size === 0) this.#datapath.exports.watchEvents(true);
      this.#watchers.set(id, watcher);
    }
    return watcher.take();
  }

  /** `id` watches no more. */
  end(id: number): void {
    if (this.#watchers.delete(id) && this.#watchers.size === 0) this.#datapath.exports.watchEvents(false);
  }
}
