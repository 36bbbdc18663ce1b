/**
 * Bench `classifier`: the look-up stage without the thread's cache. Flows are installed as the handler does it;
 * keys wait in the arena, batch behind batch, more than the processor's own caches hold, and are copied to where
 * parsing leaves them before each look-up. What the copying alone takes, timed in turn, is taken off.
 */
import {
  type Arena,
  BATCH,
  BATCH_FLOWS,
  BATCH_KEYS,
  createArena,
  Datapath,
  FLOW_STRIDE,
  FRAME_SIZE,
  KEY_SIZE,
  Key,
  loadModule,
  NONE,
  OP_DROP,
  OP_END,
  regionAddress,
} from '../datapath.ts';
import { median } from './median.ts';

export interface ClassifierOptions {
  /** Least length of a round. */
  seconds: number;
  rounds: number;
}

/** What one round measured. */
export interface Classified {
  nsPerPacket: number;
  /** A flow's record and its share of the hash table and the masks. */
  bytesPerFlow: number;
}

export const SUBTABLES: readonly number[] = [1, 10, 100];
export const FLOWS: readonly number[] = [1000, 100_000, 200_000];

/** Of keys; 32 MiB of them. */
const BATCHES = 8192;
/** Batches timed at a time: well under a millisecond, so that the median is one that nothing interrupted. */
const SLICE = 64;
const MAC = 0x0200_0000;
const ETH_IPV4 = 0x0008; // as it stands in a little-endian u16
const UDP = 17;

/** Measures one pair of numbers, round by round. Throws when a look-up found a wrong flow. */
export function benchClassifier(
  subtables: number,
  flows: number,
  { seconds, rounds }: ClassifierOptions,
): Classified[] {
  const rig = new Rig(subtables, flows);
  rig.check();
  const bytesPerFlow = Math.round(rig.flowBytes() / flows);
  return Array.from({ length: rounds }, () => ({
    nsPerPacket: rig.measure(1000 * seconds),
    bytesPerFlow,
  }));
}

class Rig {
  readonly #datapath: Datapath;
  readonly #arena: Arena;
  readonly #subtables: number;
  readonly #flows: number;
  readonly #keys: number;
  /** Where parsing leaves the keys of a batch. */
  readonly #parsed: number;
  /** The flow that each key was made for. */
  readonly #expected = new Uint32Array(BATCHES * BATCH);

  constructor(subtables: number, flows: number) {
    this.#subtables = subtables;
    this.#flows = flows;
    const frames = (BATCHES * BATCH * KEY_SIZE) / FRAME_SIZE; // which have no packets here
    const limits = {
      threads: 2,
      ports: 2,
      queues: 1,
      flows: Math.max(flows, 512),
      rules: 0,
      frames,
      largeFrames: 0,
      macs: 16,
      connections: 0,
    };
    this.#arena = createArena(loadModule(), limits, 1);
    this.#datapath = new Datapath(this.#arena, 0);
    this.#keys = regionAddress(this.#arena, 'frames');
    this.#parsed = regionAddress(this.#arena, 'batches') + BATCH_KEYS;
    const numbers = this.#install(new Datapath(this.#arena, 1));
    for (let i = 0; i < this.#expected.length; i++) {
      const flow = Math.floor(Math.random() * flows);
      this.#expected[i] = numbers[flow]!;
      this.#putKey(this.#keys + i * KEY_SIZE, flow);
    }
  }

  #install(handler: Datapath): Uint32Array {
    const numbers = new Uint32Array(this.#flows);
    const program = Uint32Array.of(OP_DROP, 0, OP_END);
    const key = new Uint8Array(KEY_SIZE);
    for (let flow = 0; flow < this.#flows; flow++) {
      this.#putKey(this.#keys, flow);
      key.set(handler.u8.subarray(this.#keys, this.#keys + KEY_SIZE));
      numbers[flow] = handler.install(maskOf(flow % this.#subtables), key, program);
      if (numbers[flow] === NONE) throw new Error(`found room for ${flow} flows, expected ${this.#flows}`);
    }
    return numbers;
  }

  /**
   * Writes a key that flow number `flow` takes: everything under the mask by the flow, the rest at random.
   * The source network names the subtable, so no other subtable has a flow for it.
   */
  #putKey(at: number, flow: number): void {
    const view = new DataView(this.#arena.memory.buffer, at, KEY_SIZE);
    const subtable = flow % this.#subtables;
    const { source, destination } = prefixes(subtable);
    const any = () => Math.floor(Math.random() * 2 ** 32);
    view.setUint32(Key.inPort, 1, true);
    view.setUint16(Key.ethType, ETH_IPV4, true);
    view.setUint32(Key.ethDst, MAC);
    view.setUint32(Key.ethSrcLow, any());
    view.setUint8(Key.nwProto, UDP);
    view.setUint8(Key.nwTtl, 64);
    view.setUint32(Key.tpSrc, any());
    view.setUint32(Key.nwSrc, addressIn(0x0a00_0000 + subtable * 2 ** 16, source, any()));
    const index = Math.floor(flow / this.#subtables);
    view.setUint32(Key.nwDst, addressIn(0x1400_0000 + index * 2 ** (32 - destination), destination, any()));
  }

  /** All keys once: each must find its own flow. */
  check(): void {
    const flows = regionAddress(this.#arena, 'flows');
    const found = (regionAddress(this.#arena, 'batches') + BATCH_FLOWS) >> 2;
    for (let batch = 0; batch < BATCHES; batch++) {
      this.#lookUp(batch);
      for (let i = 0; i < BATCH; i++) {
        const expected = flows + this.#expected[batch * BATCH + i]! * FLOW_STRIDE;
        if (this.#datapath.u32[found + i] !== expected)
          throw new Error('found another flow than was expected');
      }
    }
  }

  /** Looks all keys up, slice by slice, for `forMs` at least. Nanoseconds a packet, the median of the slices. */
  measure(forMs: number): number {
    const [whole, copying]: [number[], number[]] = [[], []];
    const startMs = performance.now();
    do {
      for (let first = 0; first < BATCHES; first += 2 * SLICE) {
        whole.push(this.#time(first, (batch) => this.#lookUp(batch)));
        copying.push(this.#time(first + SLICE, (batch) => this.#copy(batch)));
      }
    } while (performance.now() - startMs < forMs);
    return (1e6 * (median(whole) - median(copying))) / (SLICE * BATCH);
  }

  #time(first: number, work: (batch: number) => void): number {
    const startMs = performance.now();
    for (let batch = first; batch < first + SLICE; batch++) work(batch);
    return performance.now() - startMs;
  }

  #lookUp(batch: number): void {
    this.#copy(batch);
    this.#datapath.exports.lookUpUncached(this.#parsed, BATCH);
  }

  #copy(batch: number): void {
    const from = this.#keys + batch * BATCH * KEY_SIZE;
    this.#datapath.u8.copyWithin(this.#parsed, from, from + BATCH * KEY_SIZE);
  }

  /** Bytes of the arena that serve flows, but for the blocks, which only long programs touch. */
  flowBytes(): number {
    const names = ['flows', 'flowBodies', 'bucketTags', 'bucketSlots', 'subtables'];
    const regions = this.#arena.regions.filter(({ name }) => names.includes(name));
    return regions.reduce((sum, { records, recordBytes }) => sum + records * recordBytes, 0);
  }
}

/** Prefix lengths in the mask of a subtable: no two subtables have the same two. */
function prefixes(subtable: number): { source: number; destination: number } {
  return { source: 16 + Math.floor(subtable / 10), destination: 32 - (subtable % 10) };
}

/** What the tables match for an IPv4 packet: where it came in, that it is no fragment, and two networks. */
function maskOf(subtable: number): Uint8Array {
  const { source, destination } = prefixes(subtable);
  const mask = new Uint8Array(KEY_SIZE);
  mask.fill(0xff, Key.inPort, Key.inPort + 4).fill(0xff, Key.ethType, Key.ethType + 2);
  mask[Key.nwFrag] = 0xff;
  const view = new DataView(mask.buffer);
  view.setUint32(Key.nwSrc, addressIn(0xffff_ffff, source, 0));
  view.setUint32(Key.nwDst, addressIn(0xffff_ffff, destination, 0));
  return mask;
}

/** An address: the first `length` bits of one, the others of another. */
function addressIn(network: number, length: number, host: number): number {
  const size = 2 ** (32 - length);
  return network - (network % size) + (host % size);
}
