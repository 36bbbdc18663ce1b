/**
 * What a bench and its load port (load-port.ts) say to each other, in memory that both have: orders, and what the
 * port has counted.
 *
 *     orders   a word each, written by the bench; `turn` last: when it has changed, the others are new
 *     counts   a number each, written by the port's thread; read at any time, each may be a batch behind
 */

/** Where each of these names has its word. */
function places<Name extends string>(...names: Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, place) => [name, place])) as Record<Name, number>;
}

const ORDERS = places(
  'turn',
  /** Flows `first` to `end` - 1 get a packet each, in order; `again`: and then from the start, for ever. */
  'first',
  'end',
  'again',
  /** Packets a second; 0: as many as can be. */
  'rate',
  /** No packet is sent while so many misses wait for handlers; 0: they may be any number. */
  'window',
  /** Written into each packet. */
  'stamp',
  /** The flow with this number is evicted (eviction.ts) in this dump; 0: none is. */
  'evictFlow',
  'evictDump',
);

const COUNTS = places(
  /** Packets, and their numbers added up. */
  'sent',
  'sum',
  /** The last turn of which all packets have been sent and taken by handlers, if they had to, and how long that took. */
  'done',
  'doneMs',
  /** So much of the thread's time was gone when so many had been sent. */
  'spentMs',
  'spentFor',
  /** What came of an eviction (eviction.ts). */
  'evictions',
  'missed',
  'missedMs',
  'inFlight',
);

/** The same of what was sent out at a port; `stamped`: of those with a stamp, `lastMs`: when the last was sent. */
const SEEN = places('seen', 'sum', 'stamped', 'lastMs');

const size = (named: object): number => Object.keys(named).length;

export interface LoadMemory {
  orders: SharedArrayBuffer;
  counts: SharedArrayBuffer;
}

export class Load {
  readonly #orders: Int32Array;
  readonly #counts: Float64Array;

  /** @param ports highest port number plus one */
  static memory(ports: number): LoadMemory {
    return {
      orders: new SharedArrayBuffer(4 * size(ORDERS)),
      counts: new SharedArrayBuffer(8 * (size(COUNTS) + ports * size(SEEN))),
    };
  }

  constructor(memory: LoadMemory) {
    this.#orders = new Int32Array(memory.orders);
    this.#counts = new Float64Array(memory.counts);
  }

  order(name: keyof typeof ORDERS): number {
    return Atomics.load(this.#orders, ORDERS[name]);
  }

  set(name: keyof typeof ORDERS, value: number): void {
    Atomics.store(this.#orders, ORDERS[name], value);
  }

  get(name: keyof typeof COUNTS): number {
    return this.#counts[COUNTS[name]]!;
  }

  note(name: keyof typeof COUNTS, value: number): void {
    this.#counts[COUNTS[name]] = value;
  }

  seenAt(port: number, name: keyof typeof SEEN): number {
    return this.#counts[placeOf(port, name)]!;
  }

  /** So many packets more were sent out at a port. */
  see(port: number, packets: number, sum: number, stamped: number, nowMs: number): void {
    this.#counts[placeOf(port, 'seen')]! += packets;
    this.#counts[placeOf(port, 'sum')]! += sum;
    this.#counts[placeOf(port, 'stamped')]! += stamped;
    this.#counts[placeOf(port, 'lastMs')] = nowMs;
  }
}

const OWN_COUNTS = size(COUNTS);
const SEEN_EACH = size(SEEN);
const placeOf = (port: number, name: keyof typeof SEEN): number => OWN_COUNTS + port * SEEN_EACH + SEEN[name];
