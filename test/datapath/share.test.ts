/** Each port's share of the queues to the handlers: against a naive twin, on real threads, and after a death. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  DROP_FLOW,
  Frame,
  KEY_SIZE,
  Key,
  NONE,
  OP_CONTROLLER,
  OP_DROP,
  OP_END,
  OP_RECIRCULATE,
  RING_CONSUMER,
  RING_SLOTS,
  RING_STRIDE,
  regionAddress,
  SHARE_SHIFT,
  SHARES_STRIDE,
} from '../../src/datapath.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import type { TestDatapath } from '../support/module.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, Random, seeded } from '../support/seeded.ts';

/** So many of so many places one port gets that has none yet. */
const shareOfFree = (places: number): number => Math.ceil((places << SHARE_SHIFT) / ((1 << SHARE_SHIFT) + 1));
const ALONE = shareOfFree(RING_SLOTS);
const SECOND = shareOfFree(RING_SLOTS - ALONE);
/** How many frames of a port are in the ring from a thread to a handler. */
const shareBetween = (
  exports: TestDatapath['exports'],
  from: number,
  handler: number,
  port: number,
): number => exports.shareOf(exports.sharesBetween(from, handler), port);
const DROP = Uint32Array.of(OP_DROP, DROP_FLOW, OP_END);

/** A packet of each of so many flows. */
const PACKETS = Array.from({ length: 16 }, (_, i) => ethernet({}, ipv4({ src: `10.0.0.${i}` }, udp())));

/** Has packets of one port go to the controller. */
function puntAll(rig: Rig, port: number): void {
  const [mask, key] = [new Uint8Array(KEY_SIZE), new Uint8Array(KEY_SIZE)];
  mask.fill(0xff, Key.inPort, Key.inPort + 2);
  key[Key.inPort] = port;
  assert.notEqual(rig.handler.install(mask, key, Uint32Array.of(OP_CONTROLLER, 1, OP_END)), NONE);
}

/** The ports of what a handler takes in a round: misses, then punts. It drops them. */
function serve(handler: TestDatapath): [misses: number[], punts: number[]] {
  const { exports } = handler;
  const n = exports.takeMisses();
  const misses = Array.from({ length: n }, (_, i) => handler.key(i)[Key.inPort]!);
  const punts = Array.from({ length: exports.puntCount() }, (_, i) => handler.punt(i).inPort);
  for (let i = 0; i < n; i++) handler.actByProgram(i, DROP);
  return [misses, punts];
}

// The naive twin

const THREADS = [0, 1];
const HANDLERS = [2, 3];
/** Those of the threads' own; what comes in at the last is for the controller. */
const PORTS = [
  [1, 2, 3],
  [4, 5, 6],
] as const;
const PUNTED = 6;
class Naive {
  /** Ports of what waits, by thread and handler. */
  readonly queues = THREADS.map(() => HANDLERS.map((): number[] => []));
  readonly upcalls = new Map<number, number>();
  readonly refused = new Map<number, number>();

  arrive(thread: number, handler: number, port: number): void {
    const queue = this.queues[thread]![handler - 2]!;
    const mine = queue.filter((other) => other === port).length;
    const fits = mine < (RING_SLOTS - queue.length) << SHARE_SHIFT;
    if (fits) queue.push(port);
    const counts = fits ? this.upcalls : this.refused;
    counts.set(port, (counts.get(port) ?? 0) + 1);
  }

  /** The handler has taken what was first in each queue: some, if there was any. */
  checkServed(handler: number, [misses, punts]: [misses: number[], punts: number[]]): void {
    for (const thread of THREADS) {
      const queue = this.queues[thread]![handler - 2]!;
      const isMine = (port: number) => PORTS[thread]!.some((own) => own === port);
      const [missed, punted] = [misses.filter(isMine), punts.filter(isMine)];
      assert.equal(missed.length + punted.length > 0, queue.length > 0);
      const first = queue.splice(0, missed.length + punted.length);
      assert.deepEqual(
        missed,
        first.filter((port) => port !== PUNTED),
      );
      assert.equal(punted.length, first.filter((port) => port === PUNTED).length);
    }
  }
}

/** The handler to which each packet goes that comes in at each port: only what is chosen alike is compared. */
function homesOf(rig: Rig): Map<string, number> {
  const homes = new Map<string, number>();
  for (const thread of THREADS) {
    for (const port of PORTS[thread]!) {
      for (const [i, packet] of PACKETS.entries()) {
        rig.receive(port, [packet], rig.threads[thread]);
        homes.set(
          `${port} ${i}`,
          HANDLERS.find((handler) => shareBetween(rig.datapath.exports, thread, handler, port) === 1)!,
        );
        for (const handler of rig.handlers) serve(handler);
      }
    }
  }
  rig.dropMisses(DROP_FLOW);
  return homes;
}

function arrive(rig: Rig, naive: Naive, homes: Map<string, number>, random: Random): void {
  const thread = random.below(2);
  const port = pick(random, PORTS[thread]!);
  const flows = Array.from({ length: 1 + random.below(port === 1 ? 600 : 60) }, () => random.below(16));
  for (const i of flows) naive.arrive(thread, homes.get(`${port} ${i}`)!, port);
  rig.receive(
    port,
    flows.map((i) => PACKETS[i]!),
    rig.threads[thread],
  );
}

// On real threads: port 1 floods, port 2 has so much waiting at most; the handler takes what there is

const FLOOD = 100_000;
const MODEST = 100;
const DONE = 0;

function receive(datapath: TestDatapath, port: number, packets: number): void {
  for (let i = 0; i < packets; i++) {
    const frame = datapath.takeFrame(PACKETS[0]!.length);
    assert.notEqual(frame, NONE, 'no free frame');
    datapath.u8.set(PACKETS[0]!, datapath.dataAddress(frame));
    datapath.receive(i, port, frame, PACKETS[0]!.length);
  }
  datapath.exports.process(port, packets);
}

const flood: Job = (datapath, state, seed) => {
  const random = new Random(seed);
  for (let sent = 0; sent < FLOOD; sent += 32) {
    receive(datapath, 1, 32);
    // The handler may have one in hand that it has not counted.
    assert.ok(shareBetween(datapath.exports, 0, 1, 1) <= ALONE + 1, 'more than its share of the ring');
    const more = random.below(MODEST - shareBetween(datapath.exports, 0, 1, 2) + 1);
    if (chance(random, 0.1)) receive(datapath, 2, Math.min(more, 32));
  }
  datapath.exports.leave();
  Atomics.store(state, DONE, 1);
};

const handle: Job = (datapath, state) => {
  const { exports } = datapath;
  const taken = [0, 0, 0];
  for (let rest = false; ; ) {
    const [misses] = serve(datapath);
    for (const port of misses) taken[port]!++;
    for (const port of [1, 2]) {
      const share = shareBetween(exports, 0, 1, port) >>> 0;
      assert.ok(share <= ALONE, `${share | 0} of port ${port} seem to be in the ring`);
    }
    if (rest && misses.length === 0) break;
    rest = Atomics.load(state, DONE) === 1;
  }
  exports.leave();
  return taken;
};

// After a death

/** What is in a ring, by port. */
function inRing(rig: Rig, from: number, to: number, port: number): number {
  const { u32, arena } = rig.datapath;
  const ring = (regionAddress(arena, 'rings') + (from * arena.limits.threads + to) * RING_STRIDE) >> 2;
  let n = 0;
  for (let i = u32[ring + (RING_CONSUMER >> 2)]!; i !== u32[ring]; i++) {
    const frame = u32[ring + 32 + (i % RING_SLOTS)]!;
    if (u32[(rig.datapath.frameAt(frame) + Frame.port) >> 2] === port) n++;
  }
  return n;
}

function checkShares(rig: Rig): void {
  for (const from of rig.threads.keys()) {
    for (const handler of HANDLERS) {
      for (const port of PORTS.flat()) {
        const share = shareBetween(rig.datapath.exports, from, handler, port);
        assert.equal(share, inRing(rig, from, handler, port), `port ${port}, from ${from} to ${handler}`);
      }
    }
  }
}

/** Two datapath threads with three ports each, and two handlers. */
function rigWithTwo(): Rig {
  const rig = new Rig({ threads: 4, handlers: 2, frames: 8192, ports: 8 });
  for (const thread of THREADS) for (const port of PORTS[thread]!) rig.ports.open(port, thread, 1518);
  puntAll(rig, PUNTED);
  return rig;
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((a, b) => a + b, 0);

function tests(): void {
  test(
    'a port may have as many packets in a queue as its share allows, whatever comes and is served',
    seeded((random) => {
      const rig = rigWithTwo();
      const homes = homesOf(rig);
      const before = PORTS.flat().map((port) => rig.observer.port(port).upcalls);
      const droppedBefore = sum(Object.values(rig.observer.totals().dropped));
      const naive = new Naive();
      for (let step = 0; step < 400; step++) {
        if (chance(random, 0.4)) arrive(rig, naive, homes, random);
        const handler = pick(random, rig.handlers);
        naive.checkServed(handler.thread, serve(handler));
        for (const port of PORTS.flat()) {
          const { upcalls, upcallsRefused } = rig.observer.port(port);
          assert.deepEqual(
            [upcalls - before[PORTS.flat().indexOf(port)]!, upcallsRefused],
            [naive.upcalls.get(port) ?? 0, naive.refused.get(port) ?? 0],
          );
        }
      }
      assert.ok(naive.refused.get(1)! > 0, 'nothing was refused');
      rig.dropMisses(DROP_FLOW);
      const dropped = sum(Object.values(rig.checkFates().dropped));
      assert.equal(dropped - droppedBefore, sum(naive.upcalls.values()) + sum(naive.refused.values()));
    }),
  );

  test('one port alone gets most of a queue, and who comes next finds room', () => {
    const rig = new Rig({ frames: 4096 });
    rig.open(1, 2, 3);
    const many = (n: number) => Array<Uint8Array>(n).fill(PACKETS[0]!);
    const shares = () => [1, 2, 3].map((port) => shareBetween(rig.datapath.exports, 0, 1, port));
    rig.receive(1, many(1000));
    assert.deepEqual(shares(), [ALONE, 0, 0]);
    rig.receive(2, many(1000));
    assert.deepEqual(shares(), [ALONE, SECOND, 0]);
    rig.receive(3, many(10));
    assert.deepEqual(shares(), [ALONE, SECOND, 10]);
    const { upcalls, upcallsRefused } = rig.observer.port(1);
    assert.deepEqual([upcalls, upcallsRefused], [ALONE, 1000 - ALONE]);
    assert.equal(rig.dropMisses(DROP_FLOW), ALONE + SECOND + 10);
    assert.deepEqual(shares(), [0, 0, 0]);
    const refused = 1000 - ALONE + 1000 - SECOND;
    assert.equal(rig.checkFates().dropped.upcall_queue_full, refused);
  });

  test('a port whose packets multiply in the handler leaves room there for another’s', () => {
    const rig = new Rig({ frames: 4096 });
    rig.open(1, 2);
    const { handler } = rig;
    const again = Uint32Array.of(OP_RECIRCULATE, 1, OP_RECIRCULATE, 1, OP_END);
    const round = (): number[] => {
      const n = handler.exports.takeMisses();
      const ports = Array.from({ length: n }, (_, i) => handler.key(i)[Key.inPort]!);
      for (const [i, port] of ports.entries()) handler.actByProgram(i, port === 1 ? again : DROP);
      return ports;
    };
    rig.receive(1, Array(100).fill(PACKETS[0]));
    while (rig.observer.port(1).upcallsRefused === 0) round();
    assert.ok(shareBetween(handler.exports, 1, 1, 1) >= ALONE - 32);
    rig.receive(2, [PACKETS[1]!]);
    const n = handler.exports.takeMisses();
    const mine = Array.from({ length: n }, (_, i) => i).find((i) => handler.key(i)[Key.inPort] === 2)!;
    handler.actByProgram(mine, Uint32Array.of(OP_RECIRCULATE, 2, OP_END));
    for (let i = 0; i < n; i++) if (i !== mine) handler.actByProgram(i, again);
    let rounds = 0;
    while (!round().includes(2)) rounds++;
    assert.ok(rounds < ALONE);
    assert.equal(rig.observer.port(2).upcallsRefused, 0);
    rig.dropMisses(DROP_FLOW);
    rig.checkFates();
  });

  test('nothing that a port sends in moderation is refused while another floods', async () => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    const rig = new Rig({ frames: 4096 });
    rig.open(1, 2);
    const [, taken] = await crew(import.meta.url, rig.arena, ['flood', 'handle'], shared(1), seed);
    const [first, second] = [rig.observer.port(1), rig.observer.port(2)];
    assert.equal(second.upcallsRefused, 0, `repeat with SEED=${seed}`);
    assert.equal(second.upcalls, second.rxPackets);
    assert.equal(first.upcalls + first.upcallsRefused, FLOOD);
    assert.deepEqual(taken, [0, first.upcalls, second.upcalls]);
  });

  test(
    'after a death the shares are what is in the rings, wherever the thread was',
    seeded((random) => {
      const rig = rigWithTwo();
      const { u32 } = rig.datapath;
      for (let life = 0; life < 100; life++) {
        for (let n = random.below(12); n > 0; n--) {
          const thread = random.below(2);
          const packets = Array.from({ length: 1 + random.below(100) }, () => pick(random, PACKETS));
          rig.receive(pick(random, PORTS[thread]!), packets, rig.threads[thread]);
          if (chance(random, 0.5)) serve(pick(random, rig.handlers));
        }
        const dead = random.below(4);
        const { exports } = rig.threads[dead]!;
        if (dead >= 2) {
          // Died when it had taken a frame and not counted it.
          const ring = exports.ringBetween(random.below(2), dead);
          if (exports.available(ring)) exports.get(ring);
        } else {
          // Died when it had counted a frame and not put it.
          const pair = 2 * dead + random.below(2);
          u32[(regionAddress(rig.arena, 'shares') + pair * SHARES_STRIDE + 4 * PORTS[dead]![0]) >> 2]!++;
        }
        rig.bury(dead);
        checkShares(rig);
      }
      rig.dropMisses(DROP_FLOW);
      checkShares(rig);
      rig.checkFates();
    }),
  );
}

if (isMainThread) tests();
else work({ flood, handle });
