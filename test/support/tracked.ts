/**
 * A datapath that tracks what comes in and has the handler look at it afterwards: what comes out, in order, with what
 * connection tracking said of it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  CT_COMMIT,
  HeldFragments,
  KEY_SIZE,
  Key,
  NONE,
  OP_CT,
  OP_END,
  OP_OUTPUT,
  OP_RECIRCULATE,
} from '../../src/datapath.ts';
import { get16 } from './packets.ts';
import { Rig, type RigOptions } from './rig.ts';

/** A packet that went on behind ct(). */
export interface Seen {
  bytes: Uint8Array;
  port: number;
  /** As ovs-ofctl writes it. */
  state: string;
  zone: number;
  mark: number;
  protocol: number;
  /** Ports of the connection's first packet; of ICMP its type and code. */
  ports: [number, number];
}

const STATES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'];

export const ZONE = 9;
export const track = (flags: number, zone = ZONE): number[] => [OP_CT, flags, zone, 0, 0];

/** `ct(commit,zone=9)`. */
export const COMMIT = track(CT_COMMIT);

export class Tracked {
  readonly rig: Rig;

  /** `program`: what is done to packets as they come in, before they go round and out at port 2. */
  constructor(program: readonly number[], options: RigOptions = {}) {
    this.rig = new Rig({ connections: 256, ...options });
    this.rig.open(1, 2, 3);
    this.install(0, [...program, OP_RECIRCULATE, 1]);
  }

  /** Has `program` done to packets that go round under a number, or with 0 to those that come in. */
  install(recirculation: number, program: readonly number[]): void {
    const [mask, key] = [new Uint8Array(KEY_SIZE), new Uint8Array(KEY_SIZE)];
    mask.fill(0xff, Key.recirculation, Key.recirculation + 2);
    key[Key.recirculation] = recirculation;
    assert.notEqual(this.rig.handler.install(mask, key, Uint32Array.from([...program, OP_END])), NONE);
  }

  setClock(nowMs: number): void {
    for (const datapath of this.rig.threads) datapath.setClock(nowMs);
  }

  /** What goes on when these packets come in. */
  receive(packets: readonly Uint8Array[], port = 1, datapath = this.rig.datapath): Seen[] {
    const { handler } = this.rig;
    this.rig.receive(port, packets, datapath);
    const seen: Omit<Seen, 'bytes'>[] = [];
    const sent: Uint8Array[] = [];
    for (let n = handler.exports.takeMisses(); n > 0; n = handler.exports.takeMisses()) {
      for (let i = 0; i < n; i++) {
        seen.push(told(handler.key(i)));
        handler.actByProgram(i, Uint32Array.of(OP_OUTPUT, 2, OP_END));
      }
      handler.exports.flush();
      this.rig.datapath.exports.collect();
      sent.push(...(this.rig.transmit().get(2) ?? []));
    }
    this.rig.transmit();
    assert.equal(sent.length, seen.length);
    return seen.map((what, i) => ({ bytes: sent[i]!, ...what }));
  }

  get connections(): number {
    return this.rig.datapath.exports.connectionCount();
  }

  /** Fragments that wait. */
  get held(): number {
    const fragments = new HeldFragments(this.rig.arena);
    return fragments.held(4) + fragments.held(6);
  }

  /** By reason. */
  get dropped(): Record<string, number> {
    return this.rig.observer.totals().dropped;
  }

  /** Whatever waited is dropped; everything that came in met one fate. */
  checkFates(): void {
    this.rig.handler.exports.dropAllFragments();
    assert.equal(this.held, 0);
    this.rig.checkFates();
  }
}

function told(key: Uint8Array): Omit<Seen, 'bytes'> {
  const view = new DataView(key.buffer, key.byteOffset);
  const bits = key[Key.ctState]!;
  return {
    port: view.getUint16(Key.inPort, true),
    state: STATES.filter((_, bit) => bits & (1 << bit)).join('|'),
    zone: view.getUint16(Key.ctZone, true),
    mark: view.getUint32(Key.ctMark, true),
    protocol: key[Key.ctNwProto]!,
    ports: [get16(key, Key.ctTpSrc), get16(key, Key.ctTpDst)],
  };
}

/** Bytes that differ from place to place. */
export const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i ^ (i >> 8));

/** Frames by their headers and a digest of the rest, which people can tell apart. */
export const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => {
    const text = Buffer.from(frame).toString('hex');
    return `${text.slice(0, 140)} ${createHash('md5').update(text).digest('hex')}`;
  });

export const out = (seen: readonly Seen[]): string[] => hex(seen.map((packet) => packet.bytes));
export const states = (seen: readonly Seen[]): string[] => seen.map(({ state }) => state);
