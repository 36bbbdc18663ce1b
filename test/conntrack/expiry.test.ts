/** When connections expire, in how many steps, and what they take up. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  createArena,
  NONE,
  regionAddress,
  TIMEOUT_ICMP_FIRST,
  TIMEOUT_ICMP_REPLY,
  TIMEOUT_TCP_CLOSE,
  TIMEOUT_TCP_ESTABLISHED,
  TIMEOUT_TCP_FIN_WAIT,
  TIMEOUT_TCP_SYN_RECV,
  TIMEOUT_TCP_SYN_SENT,
  TIMEOUT_TCP_TIME_WAIT,
  TIMEOUT_UDP_FIRST,
  TIMEOUT_UDP_MULTIPLE,
  TIMEOUT_UDP_SINGLE,
  ZONES,
} from '../../src/datapath.ts';
import { Connections, type Ends } from '../support/connections.ts';
import { loadTestModule } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { type Random, seeded } from '../support/seeded.ts';

const ends = (i: number): Ends => ({ src: 1 + i, dst: 2, srcPort: i & 0xffff, dstPort: 80, zone: 0 });

/** One thread that forwards and one that sweeps; the sweeper's clock alone matters here. */
function sweptRig(most: number) {
  const rig = new Rig({ connections: most });
  const connections = new Connections(rig.datapath);
  const { exports } = rig.handler;
  return { rig, connections, exports, setClock: (ms: number) => rig.handler.setClock(ms) };
}

/** From a millisecond to two months. */
const lifetime = (random: Random): number => Math.ceil(2 ** (random.fraction() * 32.3));

test(
  'who sweeps when it is said to be due removes each connection in the millisecond in which its time is over',
  seeded((random) => {
    const { rig, connections, exports, setClock } = sweptRig(200);
    const expiry = new Map<number, number>();
    for (let i = 0; i < 200; i++) {
      const expiresMs = lifetime(random);
      expiry.set(connections.create(ends(i), expiresMs), expiresMs);
    }
    assert.equal(exports.sweepDueMs(), 0, 'they were filed');
    let times = 0;
    for (let nowMs = 0; nowMs !== Number.POSITIVE_INFINITY; nowMs = exports.sweepDueMs()) {
      setClock(nowMs);
      while (exports.sweep(1000) > 0);
      for (const [number, expiresMs] of expiry) {
        assert.ok(connections.isLive(number) === expiresMs > nowMs, `${expiresMs} at ${nowMs}`);
        if (expiresMs <= nowMs) expiry.delete(number);
        else if (random.below(20) === 0) {
          // Refreshed, or moved to an earlier time.
          const next = nowMs + (random.below(2) === 0 ? lifetime(random) : 1 + random.below(100));
          rig.datapath.exports.expireAt(connections.address(number), next);
          expiry.set(number, next);
        }
      }
      if (++times > 500) for (const number of expiry.keys()) expire(number);
    }
    assert.equal(expiry.size, 0);
    function expire(number: number): void {
      rig.datapath.exports.expireAt(connections.address(number), 0);
      expiry.set(number, 0);
    }
  }),
);

test('a sweep has no more steps than it is allowed, and what is left is due at once', () => {
  const { connections, exports, setClock } = sweptRig(1000);
  for (let i = 0; i < 1000; i++) connections.create(ends(i), 5000);
  while (exports.sweep(100) > 0);
  setClock(5000);
  let steps = 0;
  for (let n = exports.sweep(64); n > 0; n = exports.sweep(64)) {
    assert.ok(n <= 64);
    if (exports.connectionCount() > 0) assert.ok(exports.sweepDueMs() <= 5000);
    steps += n;
  }
  assert.equal(exports.connectionCount(), 0);
  assert.ok(steps <= 1000 * 8, `${steps} steps`);
});

test('a connection that packets refresh is not looked at until it would have expired', () => {
  const { rig, connections, exports, setClock } = sweptRig(1000);
  const numbers = Array.from({ length: 1000 }, (_, i) => connections.create(ends(i), 60_000));
  while (exports.sweep(100) > 0);
  for (let nowMs = 0; nowMs < 50_000; nowMs += 5000) {
    setClock(nowMs);
    for (const number of numbers) {
      rig.datapath.exports.expireAt(connections.address(number), nowMs + 60_000);
    }
  }
  let steps = 0;
  for (let n = exports.sweep(100); n > 0; n = exports.sweep(100)) steps += n;
  assert.ok(steps <= 1000, `${steps} steps for 10,000 refreshes`);
  assert.equal(exports.connectionCount(), 1000);
});

test('timeouts are Open vSwitch’s until a zone has others', () => {
  const { exports } = sweptRig(0);
  const seconds = [
    [TIMEOUT_TCP_SYN_SENT, 30],
    [TIMEOUT_TCP_SYN_RECV, 30],
    [TIMEOUT_TCP_ESTABLISHED, 86_400],
    [TIMEOUT_TCP_FIN_WAIT, 900],
    [TIMEOUT_TCP_TIME_WAIT, 45],
    [TIMEOUT_TCP_CLOSE, 30],
    [TIMEOUT_UDP_FIRST, 60],
    [TIMEOUT_UDP_SINGLE, 60],
    [TIMEOUT_UDP_MULTIPLE, 30],
    [TIMEOUT_ICMP_FIRST, 60],
    [TIMEOUT_ICMP_REPLY, 30],
  ] as const;
  for (const zone of [0, 1, ZONES - 1]) {
    for (const [which, s] of seconds) assert.equal(exports.timeoutOf(zone, which), s * 1000);
  }
  exports.setTimeoutOf(1, TIMEOUT_UDP_FIRST, 1500);
  assert.equal(exports.timeoutOf(1, TIMEOUT_UDP_FIRST), 1500);
  assert.equal(exports.timeoutOf(1, TIMEOUT_UDP_SINGLE), 60_000);
  assert.equal(exports.timeoutOf(0, TIMEOUT_UDP_FIRST), 60_000);
  exports.deleteTimeouts(1);
  assert.equal(exports.timeoutOf(1, TIMEOUT_UDP_FIRST), 60_000);
});

test('a zone’s own limit of 0 lets nothing in, a default of 0 everything', () => {
  const { connections, exports } = sweptRig(64);
  exports.setDefaultLimit(0);
  exports.setZoneLimit(5, 0);
  assert.deepEqual([exports.zoneLimit(5), exports.zoneLimit(6) >>> 0, exports.defaultLimit()], [0, NONE, 0]);
  assert.equal(connections.create({ ...ends(1), zone: 5 }, 1000), NONE);
  assert.notEqual(connections.create({ ...ends(1), zone: 6 }, 1000), NONE);
  assert.equal(exports.zoneCount(6), 0, 'what no limit counts is not counted');
});

test('what was let in under a limit that is gone is not counted off the one that came after it', () => {
  const { rig, connections, exports } = sweptRig(64);
  const remove = (number: number): void => {
    rig.datapath.exports.removeConnection(number, connections.generation(number), 0);
  };
  exports.setDefaultLimit(2);
  const old = [1, 2].map((i) => connections.create(ends(i), 1000));
  exports.setZoneLimit(0, 3);
  assert.equal(exports.zoneCount(0), 0, 'a new limit counts what comes after it');
  const own = connections.create(ends(3), 1000);
  exports.deleteZoneLimit(0);
  assert.equal(exports.zoneCount(0), 0);
  const last = connections.create(ends(4), 1000);
  for (const number of [...old, own]) remove(number);
  assert.equal(exports.zoneCount(0), 1);
  remove(last);
  assert.equal(exports.zoneCount(0), 0);
});

for (const connections of [65_536, 1_000_000]) {
  test(`${connections} connections take up at most 256 bytes each, all included`, () => {
    const limits = {
      threads: 3,
      ports: 2,
      queues: 1,
      flows: 1024,
      rules: 1,
      macs: 16,
      frames: 1024,
      largeFrames: 0,
    };
    const module = loadTestModule();
    const without = createArena(module, { ...limits, connections: 0 }, 1);
    const withThem = createArena(module, { ...limits, connections }, 1);
    const bytes = regionAddress(withThem, 'frames') - regionAddress(without, 'frames');
    const always = regionAddress(without, 'queues') - regionAddress(without, 'connections');
    assert.ok(bytes + always <= 256 * connections, `${(bytes + always) / connections} bytes each`);
  });
}
