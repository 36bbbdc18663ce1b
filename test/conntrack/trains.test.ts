/**
 * Packets of one connection come in trains, and what is known of one serves the next. It must not show: what a packet
 * is told is the same in the middle of any sequence as when all that was found before it is forgotten.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  BATCH_TUPLE,
  CT_COMMIT,
  CT_FORCE,
  CT_NAT,
  FRAME_RECORD,
  LINE,
  REMOVED_FLUSHED,
  regionAddress,
  TUPLE_SIZE,
} from '../../src/datapath.ts';
import { Connections } from '../support/connections.ts';
import { ACK, ethernet, icmp, icmp6, ipv4, ipv6, SYN, tcp, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';

const PACKETS = 20_000;
const CONNECTIONS = 4096;
/** Longer than any packet keeps its connection. */
const LONG_MS = 100_000_000;
/** To which sources are translated. */
const OUTSIDE = { first: 0xc633_6400, last: 0xc633_6403 };

const V4 = { src: '10.0.0.1', dst: '10.0.0.2' };
const V4_BACK = { src: V4.dst, dst: V4.src };
const V6 = { src: 'fd00::1', dst: 'fd00::2' };
const PORTS = { src: 8, dst: 53 };
const PORTS_BACK = { src: 53, dst: 8 };

const over = (addresses: typeof V4, transport: ReturnType<typeof udp>): Uint8Array =>
  ethernet({}, addresses.src.includes(':') ? ipv6(addresses, transport) : ipv4(addresses, transport));
const quoting = (packet: Uint8Array): Uint8Array =>
  over(V4_BACK, icmp({ type: 3, code: 1, rest: 0 }, packet.subarray(14)));

const QUERY = over(V4, udp(PORTS));
const SOUND = [
  QUERY,
  over(V4_BACK, udp(PORTS_BACK)),
  over(V4, udp({ ...PORTS, dst: 54 })),
  over({ ...V4, dst: '10.0.0.3' }, udp(PORTS)),
  over(V6, udp(PORTS)),
  over(V4, tcp({ ...PORTS, flags: SYN, seq: 100 })),
  over(V4_BACK, tcp({ ...PORTS_BACK, flags: SYN | ACK, seq: 500, ack: 101 })),
  over(V4, tcp({ ...PORTS, flags: ACK, seq: 101, ack: 501 })),
  over(V4, icmp({ type: 8 })),
  over(V6, icmp6({ type: 128 })),
  quoting(QUERY),
  quoting(over(V4_BACK, udp(PORTS_BACK))),
];
/** The same with a wrong byte in what a checksum covers. */
const BROKEN = SOUND.slice(0, 3).flatMap((packet) =>
  [23, packet.length - 1].map((at) => packet.map((byte, i) => (i === at ? byte ^ 0x40 : byte))),
);

/** A switch; `forgets`: before each packet it loses the tuple of the one before, and begins another epoch. */
class Side {
  readonly #rig = new Rig({ threads: 2, connections: CONNECTIONS });
  readonly #connections = new Connections(this.#rig.datapath);
  readonly #forgets: boolean;

  constructor(forgets: boolean) {
    this.#forgets = forgets;
    this.#rig.datapath.exports.setSourceRange(OUTSIDE.first, OUTSIDE.last);
  }

  /** What a packet is told, and how it leaves. */
  track(packet: Uint8Array, zone: number, flags: number, thread = 0): string {
    if (this.#forgets) this.#forget();
    const datapath = this.#rig.threads[thread]!;
    const frame = this.#rig.frame(packet, 0, datapath);
    datapath.exports.parseBatch(1);
    datapath.exports.trackBatch(1, zone, flags);
    const told = Buffer.from(datapath.u8.slice(frame + LINE, frame + FRAME_RECORD)).toString('hex');
    const bytes = Buffer.from(this.#rig.read(frame).bytes).toString('hex');
    this.#rig.give(frame);
    return `${told} ${bytes}`;
  }

  #forget(): void {
    this.moveOn();
    const batches = regionAddress(this.#rig.arena, 'batches');
    this.#rig.datapath.u8.fill(0, batches + BATCH_TUPLE, batches + BATCH_TUPLE + TUPLE_SIZE);
  }

  /** All threads begin another epoch. */
  moveOn(): void {
    const { threads, handler } = this.#rig;
    for (const { exports } of threads) exports.enter();
    handler.exports.advance();
    for (const { exports } of threads) exports.enter();
  }

  setClock(nowMs: number): void {
    for (const datapath of this.#rig.threads) datapath.setClock(nowMs);
  }

  sweep(): void {
    this.#rig.handler.exports.sweep(CONNECTIONS);
  }

  flush(): void {
    for (let number = 0; number < CONNECTIONS; number++) {
      if (!this.#connections.isLive(number)) continue;
      this.#rig.handler.exports.removeConnection(
        number,
        this.#connections.generation(number),
        REMOVED_FLUSHED,
      );
    }
  }
}

test(
  'what a packet is told does not depend on what was found for the one before it',
  seeded((random: Random) => {
    const sides = [new Side(false), new Side(true)];
    let nowMs = 1000;
    const both = (what: (side: Side) => void) => sides.forEach(what);
    for (let i = 0; i < PACKETS; i++) {
      const packet = pick(random, chance(random, 0.9) ? SOUND : BROKEN);
      const zone = pick(random, [0, 0, 0, 7]);
      const flags = pick(random, [0, CT_COMMIT, CT_COMMIT, CT_COMMIT | CT_FORCE, CT_COMMIT | CT_NAT]);
      for (let train = random.below(4); train >= 0; train--) {
        const [told, expected] = sides.map((side) => side.track(packet, zone, flags));
        assert.equal(told, expected, `packet ${i}`);
        if (chance(random, 0.02)) {
          both((side) => side.flush());
          if (chance(random, 0.5)) both((side) => side.track(packet, zone, CT_COMMIT, 1));
        }
        if (chance(random, 0.01)) nowMs += LONG_MS;
        both((side) => side.setClock(nowMs));
      }
      if (!chance(random, 0.05)) continue;
      both((side) => side.sweep());
      both((side) => side.moveOn());
    }
  }),
);
