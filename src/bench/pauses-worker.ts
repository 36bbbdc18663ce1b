/** The datapath thread of bench `pauses`. */
import { BATCH, CT_COMMIT, CT_ESTABLISHED, CT_NEW, CT_TRACKED, Datapath } from '../datapath.ts';
import { clockFrom } from '../thread/clock.ts';
import { CONNECTIONS_MOST, ConnectionPackets } from './connection-packets.ts';
import { serve } from './crew.ts';
import { LIFE, UDP } from './packet-kinds.ts';
import {
  ESTABLISHED,
  type MeasureReply,
  type MeasureRequest,
  OVER,
  UNDER_WAY,
  type WorkerData,
} from './pauses.ts';
import { Stopwatch } from './stopwatch.ts';

/** After so many batches a packet comes that begins a connection. */
const BATCHES_A_BEGINNING = 32;
/** Packets of a life that establish a connection; the next one has data. */
const HANDSHAKE = 3;

class PausesThread {
  readonly #datapath: Datapath;
  readonly #connections: number;
  readonly #progress: Int32Array;
  readonly #udp: ConnectionPackets;
  readonly #handshake: readonly ConnectionPackets[];
  readonly #data: ConnectionPackets;
  /** The next that begins while others are forwarded. */
  #next: number;

  constructor({ arena, connections, progress }: WorkerData) {
    this.#datapath = new Datapath(arena, 0);
    this.#connections = connections;
    this.#progress = progress;
    this.#udp = new ConnectionPackets(this.#datapath, UDP);
    this.#handshake = LIFE.slice(0, HANDSHAKE).map((kind) => new ConnectionPackets(this.#datapath, kind));
    this.#data = new ConnectionPackets(this.#datapath, LIFE[HANDSHAKE]!);
    this.#next = connections;
  }

  /** Begins all connections at one moment, and those that are forwarded. */
  setUp(nowMs: number): undefined {
    this.#datapath.setClock(nowMs);
    for (let first = 0; first < this.#connections; first += BATCH) {
      const n = Math.min(BATCH, this.#connections - first);
      this.#udp.place(first, n);
      this.#udp.track(n, CT_COMMIT);
    }
    this.#udp.check(CT_NEW | CT_TRACKED);
    for (let first = 0; first < ESTABLISHED; first += BATCH) {
      for (const packets of this.#handshake) {
        packets.place(first, BATCH);
        packets.track(BATCH, CT_COMMIT);
      }
    }
    this.#datapath.exports.leave();
  }

  /** Until what goes on is over. */
  forward(clockOrigin: number): MeasureReply {
    const clock = clockFrom(clockOrigin);
    const stopwatch = new Stopwatch();
    Atomics.store(this.#progress, 0, UNDER_WAY);
    stopwatch.start();
    for (let batch = 0; Atomics.load(this.#progress, 0) !== OVER; batch++) {
      this.#datapath.setClock(clock());
      if (batch % BATCHES_A_BEGINNING === 0) this.#begin();
      this.#data.place((batch * BATCH) % ESTABLISHED, BATCH);
      this.#data.track(BATCH, CT_COMMIT);
      stopwatch.lap();
    }
    this.#data.check(CT_ESTABLISHED | CT_TRACKED);
    this.#datapath.exports.leave();
    return stopwatch.read();
  }

  /** One more, unless so many have begun that the packets of the next would be those of the first. */
  #begin(): void {
    this.#udp.placeOne(0, this.#next);
    this.#udp.track(1, CT_COMMIT);
    this.#udp.check(CT_NEW | CT_TRACKED);
    this.#next = this.#next + 1 < CONNECTIONS_MOST ? this.#next + 1 : this.#connections;
  }
}

serve((data: WorkerData) => {
  const thread = new PausesThread(data);
  return (request: MeasureRequest): MeasureReply => {
    return request.work === 'setUp' ? thread.setUp(request.nowMs) : thread.forward(request.clockOrigin);
  };
});
