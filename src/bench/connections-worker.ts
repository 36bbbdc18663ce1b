/**
 * A thread of bench `connections`. What making the packets takes is timed apart, with the same packets, and taken
 * off.
 */
import {
  BATCH,
  CT_COMMIT,
  CT_ESTABLISHED,
  CT_NAT,
  CT_NEW,
  CT_SNAT,
  CT_TRACKED,
  Datapath,
  POOL_CACHE,
  POOL_CONNECTIONS,
  POOL_STRIDE,
  Pool,
  regionAddress,
  THREAD_STRIDE,
  Thread,
} from '../datapath.ts';
import { CONNECTIONS_MOST, ConnectionPackets } from './connection-packets.ts';
import type { MeasureReply, MeasureRequest, WorkerData } from './connections.ts';
import { serve } from './crew.ts';
import { LIFE, UDP } from './packet-kinds.ts';

/** Packets that a thread looks up. */
const LOOKUPS = 2 ** 20;
/** Least number of lives of all threads together. */
const LIVES = 200_000;
/** How long a TCP connection is kept whose ends have both closed. */
const CLOSED_MS = 30_000;
/** Sources are translated to 198.51.100.0 … 198.51.100.7. */
const OUTSIDE = { first: 0xc633_6400, last: 0xc633_6407 };
/** For so long at least making the packets is timed, of which the fastest time counts. */
const MAKING_MS = 20;
/** Between two looks whether the sweeper has made room. */
const NAP_MS = 0.1;

class ConnectionsThread {
  readonly #datapath: Datapath;
  readonly #udp: ConnectionPackets;
  readonly #life: readonly ConnectionPackets[];
  /** All connections, and those of this thread. */
  readonly #connections: number;
  readonly #first: number;
  readonly #end: number;
  readonly #seed: number;
  /** The first of as many as all lives of this thread need. */
  readonly #firstLife: number;
  readonly #lives: number;
  readonly #lifeMs: number;
  /** Where the arena says how many connections no thread has. */
  readonly #free: number;
  /** Where the sweeper's clock is. */
  readonly #sweeperClock: number;
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));

  constructor(datapath: Datapath, { arena, thread, threads, connections }: WorkerData) {
    this.#datapath = datapath;
    this.#udp = new ConnectionPackets(datapath, UDP);
    this.#life = LIFE.map((kind) => new ConnectionPackets(datapath, kind));
    this.#connections = connections;
    this.#first = Math.floor((connections * thread) / threads);
    this.#end = Math.floor((connections * (thread + 1)) / threads);
    this.#seed = Math.imul(0x9e37_79b9, thread + 1);
    this.#firstLife = Math.floor((CONNECTIONS_MOST * thread) / threads);
    this.#lives = Math.ceil(Math.max(2 * connections, LIVES) / threads / BATCH) * BATCH;
    this.#lifeMs = (CLOSED_MS * threads) / (connections / 2);
    this.#free = (regionAddress(arena, 'pools') + POOL_CONNECTIONS * POOL_STRIDE + Pool.free) >> 2;
    this.#sweeperClock = (regionAddress(arena, 'threads') + threads * THREAD_STRIDE + Thread.nowMs) >> 3;
    datapath.exports.setSourceRange(OUTSIDE.first, OUTSIDE.last);
  }

  setup(): MeasureReply {
    return this.#begin(CT_COMMIT, CT_NEW | CT_TRACKED);
  }

  snat(): MeasureReply {
    return this.#begin(CT_COMMIT | CT_NAT, CT_NEW | CT_TRACKED | CT_SNAT);
  }

  /** Begins this thread's connections. */
  #begin(flags: number, state: number): MeasureReply {
    const elapsedMs = timed((tracks) => {
      for (let first = this.#first; first < this.#end; first += BATCH) {
        const n = Math.min(BATCH, this.#end - first);
        this.#udp.place(first, n);
        if (tracks) this.#udp.track(n, flags);
      }
    });
    this.#udp.check(state);
    return { done: this.#end - this.#first, elapsedMs };
  }

  /** Tracks packets of connections that are there, of this thread or another. */
  lookup(): MeasureReply {
    const elapsedMs = timed((tracks) => {
      let random = this.#seed;
      for (let done = 0; done < LOOKUPS; done += BATCH) {
        for (let i = 0; i < BATCH; i++) {
          random = xorshift(random);
          this.#udp.placeOne(i, (random >>> 0) % this.#connections);
        }
        if (tracks) this.#udp.track(BATCH, CT_COMMIT);
      }
    });
    this.#udp.check(CT_NEW | CT_TRACKED);
    return { done: LOOKUPS, elapsedMs };
  }

  /** Lets TCP connections begin, send and end, a batch of them at a time. */
  lives(): MeasureReply {
    const elapsedMs = timed((tracks) => {
      for (let done = 0; done < this.#lives; done += BATCH) {
        for (const packets of this.#life) packets.place(this.#firstLife + done, BATCH);
        if (tracks) this.#live();
      }
    });
    this.#life.at(-1)!.check(CT_ESTABLISHED | CT_TRACKED);
    return { done: this.#lives, elapsedMs };
  }

  #live(): void {
    this.#waitForRoom();
    for (const packets of this.#life) packets.track(BATCH, CT_COMMIT);
    this.#datapath.setClock(this.#datapath.nowMs + BATCH * this.#lifeMs);
  }

  /**
   * Waits for the sweeper while there may be no connection for each of a batch, or while its clock, which is the
   * slowest thread's, is far behind: else one thread's closed connections would leave no room for another's.
   */
  #waitForRoom(): void {
    const { u32, f64, nowMs, exports } = this.#datapath;
    while (Atomics.load(u32, this.#free) < POOL_CACHE || nowMs - f64[this.#sweeperClock]! > CLOSED_MS / 2) {
      exports.leave();
      Atomics.wait(this.#nap, 0, 0, NAP_MS);
    }
  }
}

/**
 * Milliseconds that `work` takes, less those that it takes when it only makes the packets. That is tried afterwards,
 * for all threads begin at the same time.
 */
function timed(work: (tracks: boolean) => void): number {
  const whole = elapsed(() => work(true));
  let making = Number.POSITIVE_INFINITY;
  const beganMs = performance.now();
  do
    making = Math.min(
      making,
      elapsed(() => work(false)),
    );
  while (performance.now() - beganMs < MAKING_MS);
  return whole - making;
}

function elapsed(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/** Marsaglia 2003: the next of all 32-bit numbers but 0, in no apparent order. */
function xorshift(x: number): number {
  x ^= x << 13;
  x ^= x >>> 17;
  return x ^ (x << 5);
}

serve((data: WorkerData) => {
  const datapath = new Datapath(data.arena, data.thread);
  const thread = new ConnectionsThread(datapath, data);
  return ({ work, nowMs }: MeasureRequest): MeasureReply => {
    datapath.setClock(nowMs);
    const reply = thread[work]();
    datapath.exports.leave();
    return reply;
  };
});
