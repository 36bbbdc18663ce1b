/**
 * Several handlers: what packets of one flow need goes to one of them, whatever becomes of them meanwhile. Packets say
 * which they are in the TTL, which nothing here changes.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ASLEEP_IN_WAIT,
  CT_COMMIT,
  CT_NAT,
  DROP_FLOW,
  KEY_SIZE,
  Key,
  NAT_HAS_ADDRESS,
  NAT_SOURCE,
  NONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_RECIRCULATE,
  OP_SET,
  regionAddress,
  THREAD_STRIDE,
  Thread,
} from '../../src/datapath.ts';
import { datagram4 } from '../support/fragments.ts';
import { address, ethernet, ipv4, ipv6, tcp, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { seeded } from '../support/seeded.ts';
import { track } from '../support/tracked.ts';

const TTL = 14 + 8;

/** Two datapath threads with a port each, and two handlers. */
function rigWithTwo(): Rig {
  const rig = new Rig({ threads: 4, handlers: 2, connections: 512, frames: 4096 });
  rig.ports.open(1, 0, 1518);
  rig.ports.open(2, 1, 1518);
  return rig;
}

/** A miss, or a packet for the controller, and the thread that took it. */
interface Taken {
  ttl: number;
  handler: number;
  recirculation: number;
}

/** From here on misses are dropped when they have gone round as this. */
const LAST_ROUNDS = 100;

/** What each handler has to take now, in order; it does `program` to misses, and drops the rest. */
function takeAll(rig: Rig, program: readonly number[] = [OP_DROP, DROP_FLOW]): Taken[] {
  return rig.handlers.flatMap((handler) => {
    const taken: Taken[] = [];
    const { exports, thread } = handler;
    for (let n = exports.takeMisses(); n + exports.puntCount() > 0; n = exports.takeMisses()) {
      for (let i = 0; i < exports.puntCount(); i++) {
        taken.push({ ttl: handler.punt(i).bytes[TTL]!, handler: thread, recirculation: NONE });
      }
      for (let i = 0; i < n; i++) {
        const key = handler.key(i);
        const recirculation = key[Key.recirculation]! | (key[Key.recirculation + 1]! << 8);
        taken.push({ ttl: key[Key.nwTtl]!, handler: thread, recirculation });
        const deed = recirculation < LAST_ROUNDS ? program : [OP_DROP, DROP_FLOW];
        handler.actByProgram(i, Uint32Array.of(...deed, OP_END));
      }
    }
    return taken;
  });
}

function install(rig: Rig, recirculation: number, ...program: number[]): void {
  const [mask, key] = [new Uint8Array(KEY_SIZE), new Uint8Array(KEY_SIZE)];
  mask.fill(0xff, Key.recirculation, Key.recirculation + 2);
  key[Key.recirculation] = recirculation;
  assert.notEqual(rig.handler.install(mask, key, Uint32Array.of(...program, OP_END)), NONE);
}

/** A packet of each of 200 flows, whose number is its TTL. */
const FLOWS = Array.from({ length: 200 }, (_, i) =>
  ethernet({}, ipv4({ src: `10.0.${i % 7}.${i}`, ttl: i + 1 }, udp({ src: 1024 + (i % 13), dst: 53 }))),
);

/** By TTL, the handler that takes a packet of `FLOWS` that misses as it comes in. */
function homes(rig: Rig): Map<number, number> {
  rig.receive(1, FLOWS);
  const home = new Map(takeAll(rig).map(({ ttl, handler }) => [ttl, handler]));
  assert.equal(home.size, FLOWS.length);
  const first = [...home.values()].filter((handler) => handler === 2).length;
  assert.ok(first > 50 && first < 150, `${first} of 200 flows go to the first handler`);
  return home;
}

function checkHomes(taken: readonly Taken[], home: Map<number, number>): void {
  for (const { ttl, handler } of taken) assert.equal(handler, home.get(ttl), `flow ${ttl}`);
}

test(
  'packets of one direction of a connection go to one handler, in order, whatever else differs',
  seeded((random) => {
    const rig = rigWithTwo();
    const users = new Set<number>();
    for (let flow = 0; flow < 60; flow++) {
      const [src, dst] = [1 + random.below(60000), 1 + random.below(60000)];
      const [host, peer] = [random.below(250), random.below(250)];
      const packets = Array.from({ length: 50 }, (_, i) => {
        const transport = tcp({ src, dst, flags: random.below(512), seq: random.word() });
        const [priority, inner] = [random.below(8) << 13, random.below(8) << 13];
        const network =
          flow % 2 === 0
            ? ipv4(
                { src: `10.0.0.${host}`, dst: `10.0.1.${peer}`, ttl: i, tos: random.below(256) },
                transport,
              )
            : ipv6(
                {
                  src: `fd00::${host}`,
                  dst: `fd00::1:${peer}`,
                  hopLimit: i,
                  trafficClass: random.below(256),
                },
                transport,
              );
        return ethernet({ vlan: priority | flow, innerVlan: inner | 7 }, network);
      });
      rig.receive(1, packets);
      const taken = takeAll(rig);
      assert.equal(new Set(taken.map(({ handler }) => handler)).size, 1, `flow ${flow}`);
      assert.deepEqual(
        taken.map(({ ttl }) => ttl),
        packets.map((_, i) => i),
      );
      users.add(taken[0]!.handler);
    }
    assert.deepEqual([...users].sort(), [2, 3]);
    rig.checkFates();
  }),
);

test('a packet that is translated and goes round, on several threads, is for the handler that it was for', () => {
  const rig = rigWithTwo();
  const home = homes(rig);
  const source = new Uint32Array(8);
  new Uint8Array(source.buffer).set(address('192.0.2.1'), 0);
  new Uint8Array(source.buffer).set(address('192.0.2.1'), 16);
  const nat = [OP_CT_NAT, NAT_SOURCE | NAT_HAS_ADDRESS, ...source, 0, OP_CT, CT_COMMIT | CT_NAT, 9, 0, 0];
  install(rig, 0, ...nat, OP_RECIRCULATE, 1);
  // Another hardware address, and two copies that go on.
  install(rig, 1, OP_SET, 12, 0x5500, 0xff00, OP_RECIRCULATE, 2, OP_RECIRCULATE, 3);
  rig.receive(1, FLOWS);
  // The handler sends them round twice more.
  const taken = takeAll(rig, [OP_SET, 12, 0x6600, 0xff00, OP_RECIRCULATE, 101, OP_RECIRCULATE, 102]);
  checkHomes(taken, home);
  const byRound = (round: number) => taken.filter(({ recirculation }) => recirculation === round).length;
  assert.deepEqual([2, 3, 101, 102].map(byRound), [200, 200, 400, 400]);
  rig.checkFates();
});

test('packets for the controller go to the handler of their flow: as they came, from a later round, and from there', () => {
  const rig = rigWithTwo();
  const home = homes(rig);
  install(rig, 0, OP_CONTROLLER, 1, OP_SET, 12, 0x5500, 0xff00, OP_RECIRCULATE, 1);
  install(rig, 1, OP_CONTROLLER, 2, OP_RECIRCULATE, 2);
  rig.receive(1, FLOWS);
  const taken = takeAll(rig, [OP_CONTROLLER, 3, OP_DROP, DROP_FLOW]);
  checkHomes(taken, home);
  assert.equal(taken.filter(({ recirculation }) => recirculation === NONE).length, 3 * FLOWS.length);
  rig.checkFates();
});

test('the fragments of a datagram go to one handler, one by one and when it is complete', () => {
  const rig = rigWithTwo();
  const pieces = (id: number) => {
    const { cut } = datagram4({ id, src: `10.1.0.${id}`, ttl: id }, udp({ src: id }, new Uint8Array(2392)));
    return [cut(0, 1200), cut(1200, 2400)];
  };
  const datagrams = Array.from({ length: 60 }, (_, i) => pieces(i + 1));
  const checkPairs = (taken: readonly Taken[]): Map<number, number> => {
    assert.equal(taken.length, 120);
    const home = new Map(taken.map(({ ttl, handler }) => [ttl, handler]));
    checkHomes(taken, home);
    assert.equal(new Set(home.values()).size, 2, 'handlers');
    return home;
  };
  for (const datagram of datagrams) rig.receive(1, datagram);
  checkPairs(takeAll(rig));
  // Now they wait for each other, the second halves on the other thread.
  install(rig, 0, ...track(CT_COMMIT), OP_RECIRCULATE, 1);
  for (const [first] of datagrams) rig.receive(1, [first!]);
  for (const [, second] of datagrams) rig.receive(2, [second!], rig.threads[1]);
  checkPairs(takeAll(rig));
  rig.checkFates();
});

/** How often each handler has been rung. */
const rings = (rig: Rig): number[] =>
  rig.handlers.map(({ thread, u32 }) => u32[(threadAddress(rig, thread) + Thread.rung) >> 2]!);
const threadAddress = (rig: Rig, thread: number): number =>
  regionAddress(rig.arena, 'threads') + thread * THREAD_STRIDE;

test('a handler that sleeps is rung once a batch that has something for it', () => {
  const rig = rigWithTwo();
  const home = homes(rig);
  const of = (handler: number) => FLOWS.filter((packet) => home.get(packet[TTL]!) === handler).slice(0, 16);
  for (const { thread, u32 } of rig.handlers) {
    u32[(threadAddress(rig, thread) + Thread.sleeping) >> 2] = ASLEEP_IN_WAIT;
  }
  rig.receive(1, of(2));
  assert.deepEqual(rings(rig), [1, 0]);
  rig.receive(1, of(3));
  assert.deepEqual(rings(rig), [1, 1]);
  rig.receive(1, [...of(2), ...of(3)]);
  assert.deepEqual(rings(rig), [2, 2]);
  takeAll(rig); // or the next would wait for these
  install(rig, 0, OP_CONTROLLER, 1, OP_CONTROLLER, 2);
  rig.receive(1, of(3));
  assert.deepEqual(rings(rig), [2, 3]);
  takeAll(rig);
  rig.checkFates();
});

test('with one handler all go there', () => {
  const rig = new Rig({ threads: 2 });
  rig.open(1);
  rig.receive(1, FLOWS);
  const taken = takeAll(rig);
  assert.equal(taken.length, FLOWS.length);
  assert.ok(taken.every(({ handler }) => handler === 1));
});

test('a handler takes as much from one datapath thread as from another', () => {
  const rig = rigWithTwo();
  rig.receive(1, FLOWS);
  rig.receive(2, FLOWS, rig.threads[1]);
  const ports = Array.from(
    { length: rig.handler.exports.takeMisses() },
    (_, i) => rig.handler.key(i)[Key.inPort]!,
  );
  assert.deepEqual(
    [1, 2].map((port) => ports.filter((other) => other === port).length),
    [10, 10],
  );
});
