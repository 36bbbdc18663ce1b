/**
 * A small datapath to try things on: an arena, and in this one JavaScript thread all of its threads.
 * Unless something else is said, the last is the handler.
 */
import assert from 'node:assert/strict';
import {
  ARENA_MAP,
  type Arena,
  ArenaMap,
  BATCH,
  BATCH_KEYS,
  BATCH_STRIDE,
  CHECKSUM_PARTIAL,
  createArena,
  FRAME_RECORD,
  Frame,
  KEY_SIZE,
  MAX_LENGTH,
  Observer,
  POOL_BLOCKS,
  POOL_CACHE_STRIDE,
  POOL_FLOWS,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  POOL_STRIDE,
  POOLS,
  Pool,
  PoolCache,
  PortTable,
  type Punt,
  regionAddress,
  rolesOf,
  THREAD_STRIDE,
  Thread,
  type Totals,
} from '../../src/datapath.ts';
import { type Reclaimed, reclaim } from '../../src/thread/reclaim.ts';
import { loadTestModule, TestDatapath } from './module.ts';

const module = loadTestModule();

export interface RigOptions {
  /** Datapath threads, handlers and revalidators. */
  threads?: number;
  handlers?: number;
  revalidators?: number;
  ports?: number;
  flows?: number;
  rules?: number;
  macs?: number;
  frames?: number;
  largeFrames?: number;
  connections?: number;
}

export class Rig {
  readonly arena: Arena;
  readonly threads: readonly TestDatapath[];
  readonly ports: PortTable;
  readonly observer: Observer;
  #received = 0;

  constructor(options: RigOptions = {}) {
    const { threads = 2, ports = 8 } = options;
    const limits = {
      flows: 1024,
      rules: 4096,
      macs: 16,
      frames: 1024,
      largeFrames: 16,
      connections: 0,
      ...options,
    };
    this.arena = createArena(module, { ...limits, threads, ports, queues: ports }, 1);
    this.threads = Array.from({ length: threads }, (_, thread) => new TestDatapath(this.arena, thread));
    this.ports = new PortTable(this.arena);
    this.observer = new Observer(this.arena);
  }

  /** The first datapath thread. */
  get datapath(): TestDatapath {
    return this.threads[0]!;
  }

  /** The first handler. */
  get handler(): TestDatapath {
    return this.handlers[0]!;
  }

  get handlers(): readonly TestDatapath[] {
    const { datapaths, handlers } = rolesOf(this.arena.limits);
    return this.threads.slice(datapaths, datapaths + handlers);
  }

  /** Opens ports that belong to the first thread. */
  open(...ports: number[]): void {
    for (const port of ports) this.ports.open(port, 0, MAX_LENGTH);
  }

  /** A frame that holds `packet`; the address of its record. */
  frame(packet: Uint8Array, port = 0, datapath = this.datapath): number {
    const number = datapath.takeFrame(packet.length);
    assert.notEqual(number, -1 >>> 0, 'no free frame');
    datapath.u8.set(packet, datapath.dataAddress(number));
    datapath.receive(0, port, number, packet.length);
    return datapath.frameAt(number);
  }

  /** What is known of a frame, by the address of its record. */
  read(frame: number): {
    bytes: Uint8Array;
    headroom: number;
    number: number;
    flags: number;
    l3: number;
    l4: number;
    checksum: number;
    checksumStart: number;
  } {
    const { u8, u16, u32 } = this.datapath;
    const data = u32[(frame + Frame.data) >> 2]!;
    return {
      bytes: u8.slice(data, data + u32[(frame + Frame.length) >> 2]!),
      headroom: data - u32[(frame + Frame.base) >> 2]!,
      number: (frame - this.datapath.frameAt(0)) / FRAME_RECORD,
      flags: u32[(frame + Frame.flags) >> 2]!,
      l3: u16[(frame + Frame.l3) >> 1]!,
      l4: u16[(frame + Frame.l4) >> 1]!,
      checksum: u8[frame + Frame.checksum]!,
      checksumStart: u16[(frame + Frame.checksumStart) >> 1]!,
    };
  }

  /** Says of the frame that its checksum is still partial, as virtio does. */
  setPartial(frame: number, start: number, offset: number): void {
    const { u8, u16 } = this.datapath;
    u8[frame + Frame.checksum] = CHECKSUM_PARTIAL;
    u16[(frame + Frame.checksumStart) >> 1] = start;
    u16[(frame + Frame.checksumOffset) >> 1] = offset;
  }

  give(frame: number): void {
    this.datapath.exports.giveFrame(this.read(frame).number);
  }

  /** Address of key `i` of a thread's batch. */
  keyAddress(i = 0, datapath = this.datapath): number {
    return regionAddress(this.arena, 'batches') + datapath.thread * BATCH_STRIDE + BATCH_KEYS + KEY_SIZE * i;
  }

  /** Handlers are done with what they have taken, and a datapath thread has heard of it: its next round. */
  catchUp(datapath = this.datapath): void {
    for (const { exports } of this.handlers) exports.noteDone();
    datapath.exports.collect();
    while (datapath.exports.resume() > 0);
  }

  /** Receives packets at `port`, a batch at a time, and lets the thread process them. */
  receive(port: number, packets: readonly Uint8Array[], datapath = this.datapath): void {
    this.catchUp(datapath);
    for (let at = 0; at < packets.length; at += BATCH) {
      const batch = packets.slice(at, at + BATCH);
      for (const [slot, packet] of batch.entries()) {
        const number = datapath.takeFrame(packet.length);
        assert.notEqual(number, -1 >>> 0, 'no free frame');
        datapath.u8.set(packet, datapath.dataAddress(number));
        datapath.receive(slot, port, number, packet.length);
      }
      datapath.exports.process(port, batch.length);
      this.#received += batch.length;
    }
  }

  /** Ends a thread's round: what it has for its own ports, as sent, by port. */
  transmit(datapath = this.datapath): Map<number, Uint8Array[]> {
    const sent = new Map<number, Uint8Array[]>();
    const ready = datapath.exports.flush();
    for (let i = 0; i < ready; i++) {
      const port = datapath.readyPort(i);
      const packets: Uint8Array[] = [];
      datapath.drainQueue(port, false, (at, length) => packets.push(datapath.u8.slice(at, at + length)));
      sent.set(port, packets);
    }
    datapath.clearReadyPorts();
    return sent;
  }

  /** Drops the misses that wait for the handlers, and the punts that nobody takes; returns how many misses. */
  dropMisses(reason: number): number {
    let dropped = 0;
    for (const handler of this.handlers) {
      const { exports } = handler;
      for (let n = exports.takeMisses(); n + exports.puntCount() > 0; n = exports.takeMisses()) {
        for (let i = 0; i < n; i++) handler.actByProgram(i, Uint32Array.of(5, reason, 0));
        dropped += n;
      }
    }
    return dropped;
  }

  /** Takes all punts that wait for the handler, as a controller would. No misses wait. */
  takePunts(): Punt[] {
    const { handler } = this;
    const punts: Punt[] = [];
    for (;;) {
      assert.equal(handler.exports.takeMisses(), 0, 'misses');
      const n = handler.exports.puntCount();
      if (n === 0) return punts;
      for (let i = 0; i < n; i++) {
        const punt = handler.punt(i);
        punts.push({ ...punt, bytes: punt.bytes.slice() });
        handler.exports.endPunt(i, true);
      }
    }
  }

  /** Free numbers of a pool, on its stack and in the threads' caches. */
  free(pool: number): number {
    const { u32 } = this.datapath;
    const stack = u32[(regionAddress(this.arena, 'pools') + pool * POOL_STRIDE + Pool.free) >> 2]!;
    return this.threads.reduce((sum, { thread }) => {
      const cache = regionAddress(this.arena, 'poolCaches') + (thread * POOLS + pool) * POOL_CACHE_STRIDE;
      return sum + u32[(cache + PoolCache.count) >> 2]!;
    }, stack);
  }

  /** Lets every thread pass enough epochs for all that was retired to come back. */
  reclaim(): void {
    for (let i = 0; i < 4; i++) {
      for (const { exports } of this.threads) exports.enter();
      for (const { exports } of this.threads) exports.reclaim();
    }
  }

  /** Tidies up after a thread that died; all others stand still at once, for none of them goes round. */
  bury(dead: number): Reclaimed {
    const live = this.threads.map(({ thread }) => thread).filter((thread) => thread !== dead);
    for (const { i32, thread } of this.threads) {
      i32[(regionAddress(this.arena, 'threads') + thread * THREAD_STRIDE + Thread.sleeping) >> 2] = 1;
    }
    const { reclaimed } = reclaim(this.arena, [dead], live);
    return reclaimed![0]!;
  }

  /** Every frame had one fate and is back in its pool. Returns the totals. */
  checkFates(): Totals {
    const totals = this.observer.totals();
    const sum = (drops: Record<string, number>) => Object.values(drops).reduce((a, b) => a + b, 0);
    assert.equal(totals.received, this.#received, 'received');
    assert.equal(totals.forwarded + sum(totals.dropped), totals.received, 'forwarded + dropped');
    assert.equal(
      totals.copiesForwarded + sum(totals.copiesDropped),
      totals.copied,
      'copies forwarded + dropped',
    );
    assert.equal(this.free(POOL_FRAMES), this.arena.limits.frames, 'free frames');
    assert.equal(this.free(POOL_LARGE_FRAMES), this.arena.limits.largeFrames, 'free large frames');
    return totals;
  }

  /** No flow is live or counted in a chain, and flows and blocks are all back in their pools. */
  checkNoFlows(): void {
    assert.equal(this.observer.liveFlows(), 0, 'live flows');
    assert.equal(this.datapath.u32[(ARENA_MAP + ArenaMap.chainedFlows) >> 2], 0, 'flows in chains');
    assert.equal(this.free(POOL_FLOWS), this.arena.limits.flows, 'free flows');
    assert.equal(this.free(POOL_BLOCKS), this.arena.limits.flows, 'free blocks');
  }
}
