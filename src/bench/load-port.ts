/**
 * Load port: the packets of a bench come in there, as many and as fast as it orders, and what is sent out at any load
 * port is looked at and comes in once more. No kernel: frames go round between two queues in the arena.
 *
 *     spare ──▶ made a packet of the next flow ──▶ incoming ──▶ the packet path ──▶ handlers, out at a port ──▶ spare
 *
 *     packet   │ Ethernet, IPv4, UDP │ its number, 4 bytes │ stamp, 2 bytes │
 *
 * Flow number f has two parts, f / side and f mod side; fields of 16 bits of the packet follow from either.
 */
import {
  BATCH,
  COUNT_UPCALLS,
  COUNT_UPCALLS_HANDLED,
  COUNTERS,
  type Datapath,
  Frame,
  NONE,
  regionAddress,
} from '../datapath.ts';
import type { DriverSpec, Port, PortBasics, PortType } from '../port/port.ts';
import { processorTime } from '../sys/processor-time.ts';
import { Eviction } from './eviction.ts';
import { FrameQueue } from './frame-queue.ts';
import { Load, type LoadMemory } from './load.ts';

/** A field of a packet. */
export interface VariedField {
  at: number;
  part: 'high' | 'low';
  /** For the first flow. */
  first: number;
  /** Has the complement of its value there, so that a checksum over both is what it was (RFC 1071 §2). */
  balancedAt?: number;
}

export interface LoadTraffic {
  /** Address of the queue of what comes in. */
  incoming: number;
  packet: Uint8Array;
  fields: readonly VariedField[];
  side: number;
}

export interface LoadSpec extends DriverSpec {
  memory: LoadMemory;
  /** Address of the queue that all load ports of the thread share. */
  spare: number;
  /** What comes in there, if anything does. */
  traffic?: LoadTraffic;
}

/** Bytes of Ethernet, IPv4 and UDP. */
export const HEADERS = 42;
const NUMBER = HEADERS;
const STAMP = HEADERS + 4;
export const LEAST_PACKET = HEADERS + 6;

/** Batches between two looks at what the thread has worked. */
const BATCHES_A_LOOK = 64;

const networkOrder = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);

export const portType: PortType<PortBasics, LoadSpec> = {
  open() {
    throw new Error('found a load port, expected one that has something to do outside benches');
  },
  drive: (datapath, spec) =>
    spec.traffic ? new LoadPort(datapath, spec, spec.traffic) : new SeeingPort(datapath, spec),
};

/** Looks at what is sent out. */
class SeeingPort implements Port {
  readonly descriptors: readonly number[] = [];
  protected readonly datapath: Datapath;
  protected readonly load: Load;
  protected readonly number: number;
  readonly #spare: number;

  constructor(datapath: Datapath, { number, memory, spare }: LoadSpec) {
    this.datapath = datapath;
    this.number = number;
    this.load = new Load(memory);
    this.#spare = spare;
  }

  poll(): number {
    return 0;
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  transmit(): void {
    const { datapath } = this;
    const { u16, u32 } = datapath;
    const queue = datapath.transmitQueue(this.number) >> 2;
    const n = u32[queue]!;
    let [sum, stamped] = [0, 0];
    for (let i = 0; i < n; i++) {
      const data = datapath.dataAddress(u32[queue + 1 + i]!) >> 1;
      sum += u16[data + (NUMBER >> 1)]! + 65536 * u16[data + (NUMBER >> 1) + 1]!;
      if (u16[data + (STAMP >> 1)]! !== 0) stamped++;
    }
    this.load.see(this.number, n, sum, stamped, datapath.now[0]!);
    datapath.exports.memoryTransmit(this.number, this.#spare);
  }

  close(): void {}
}

class LoadPort extends SeeingPort {
  readonly #traffic: LoadTraffic;
  readonly #incoming: FrameQueue;
  readonly #spares: FrameQueue;
  readonly #eviction: Eviction;
  readonly #workedMs = processorTime() ?? (() => performance.now());
  readonly #counters: number;
  /** What is ordered. */
  #turn = 0;
  #end = 0;
  #again = false;
  #rate = 0;
  #window = 0;
  #stamp = 0;
  /** The next flow, and the parts of its number; when the turn began, and with which packet. */
  #flow = 0;
  #high = 0;
  #low = 0;
  #isUnderWay = false;
  #beganMs = 0;
  #beganAt = 0;
  #sent = 0;
  #sum = 0;
  #untilLook = BATCHES_A_LOOK;

  constructor(datapath: Datapath, spec: LoadSpec, traffic: LoadTraffic) {
    super(datapath, spec);
    this.#traffic = traffic;
    this.#incoming = new FrameQueue(datapath, traffic.incoming);
    this.#spares = new FrameQueue(datapath, spec.spare);
    this.#eviction = new Eviction(datapath, this.load);
    this.#counters = regionAddress(datapath.arena, 'counters');
  }

  override poll(): number {
    if (this.load.order('turn') !== this.#turn) this.#begin();
    if (!this.#isUnderWay) return 0;
    const n = this.#place(this.#due());
    if (n === 0) {
      this.#endIfDone();
      return 0;
    }
    this.load.note('sent', this.#sent);
    this.load.note('sum', this.#sum);
    this.#eviction.evictIfDue();
    this.datapath.exports.memoryPoll(this.number, this.#traffic.incoming);
    this.#eviction.watch(n, this.misses);
    if (--this.#untilLook === 0) this.#look();
    return n;
  }

  override dueMs(): number {
    return this.#isUnderWay ? 0 : Number.POSITIVE_INFINITY;
  }

  #begin(): void {
    const { load } = this;
    this.#turn = load.order('turn');
    this.#end = load.order('end');
    this.#again = load.order('again') !== 0;
    this.#rate = load.order('rate');
    this.#window = load.order('window');
    this.#goTo(load.order('first'));
    this.#isUnderWay = this.#flow < this.#end;
    this.#beganMs = performance.now();
    this.#beganAt = this.#sent;
    if (!this.#isUnderWay) load.note('done', this.#turn);
  }

  #goTo(flow: number): void {
    this.#flow = flow;
    this.#high = Math.floor(flow / this.#traffic.side);
    this.#low = flow % this.#traffic.side;
  }

  /** All packets were sent, and no handler has any left. */
  #endIfDone(): void {
    if (this.#flow < this.#end || this.misses > 0) return;
    this.#isUnderWay = false;
    this.load.note('doneMs', performance.now() - this.#beganMs);
    this.load.note('done', this.#turn);
  }

  /** How many packets are to be sent now. */
  #due(): number {
    if (this.#flow >= this.#end) return 0;
    const room = this.#window === 0 ? BATCH : this.#window - this.misses;
    if (this.#rate === 0) return Math.min(BATCH, room);
    const due = Math.floor(((performance.now() - this.#beganMs) * this.#rate) / 1000);
    return Math.min(BATCH, room, due - (this.#sent - this.#beganAt));
  }

  /** Misses that wait for handlers. */
  get misses(): number {
    const { u32, arena } = this.datapath;
    let waiting = 0;
    for (let thread = 0; thread < arena.limits.threads; thread++) {
      const at = this.#counters + 8 * thread * COUNTERS;
      waiting += u32[(at + 8 * COUNT_UPCALLS) >> 2]! - u32[(at + 8 * COUNT_UPCALLS_HANDLED) >> 2]!;
    }
    return waiting | 0;
  }

  /** Makes packets of the next `n` flows, as far as there are frames. Returns how many. */
  #place(n: number): number {
    this.#stamp = this.load.order('stamp');
    for (let placed = 0; placed < n; placed++) {
      if (this.#flow >= this.#end) return placed;
      const frame = this.#takeFrame();
      if (frame === NONE) return placed;
      this.#makePacket(this.datapath.dataAddress(frame) >> 1);
      this.#incoming.put(frame);
      this.#goOn();
    }
    return Math.max(n, 0);
  }

  #goOn(): void {
    this.#flow++;
    if (++this.#low === this.#traffic.side) {
      this.#low = 0;
      this.#high++;
    }
    if (this.#again && this.#flow === this.#end) this.#goTo(this.load.order('first'));
  }

  /** One that was there before, or a new one. */
  #takeFrame(): number {
    const spare = this.#spares.take();
    if (spare !== NONE) return spare;
    const { packet } = this.#traffic;
    const frame = this.datapath.takeFrame(packet.length);
    if (frame === NONE) return NONE;
    this.datapath.u8.set(packet, this.datapath.dataAddress(frame));
    this.datapath.u32[(this.datapath.frameAt(frame) + Frame.length) >> 2] = packet.length;
    return frame;
  }

  /** @param data where its bytes begin, in words of 16 bits */
  #makePacket(data: number): void {
    const { u16 } = this.datapath;
    const { fields } = this.#traffic;
    for (let i = 0; i < fields.length; i++) {
      const { at, part, first, balancedAt } = fields[i]!;
      const value = networkOrder(first + (part === 'high' ? this.#high : this.#low));
      u16[data + (at >> 1)] = value;
      if (balancedAt !== undefined) u16[data + (balancedAt >> 1)] = ~value;
    }
    const number = this.#sent++;
    this.#sum += number % 2 ** 32;
    u16[data + (NUMBER >> 1)] = number;
    u16[data + (NUMBER >> 1) + 1] = Math.floor(number / 65536);
    u16[data + (STAMP >> 1)] = this.#stamp;
  }

  #look(): void {
    this.#untilLook = BATCHES_A_LOOK;
    this.load.note('spentMs', this.#workedMs());
    this.load.note('spentFor', this.#sent);
  }
}
