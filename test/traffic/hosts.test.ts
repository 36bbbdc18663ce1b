/** Hosts talk to hosts: every kind of connection, on a good LAN and on bad ones. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { TrafficOptions } from '../../src/port/traffic/hosts.ts';
import { responseOf } from '../../src/port/traffic/stream.ts';
import { Lan, makeHosts, makePair } from './lan.ts';
import { emitted } from './outsider.ts';

const KINDS = {
  tcp: { tcp: 1, udp: 0, ping: 0 },
  udp: { tcp: 0, udp: 1, ping: 0 },
  ping: { tcp: 0, udp: 0, ping: 1 },
};
const NO_FAULTS = { framesMalformed: 0, checksumsBad: 0, framesIgnored: 0, repliesDropped: 0 };
const PAGE_BYTES = responseOf(10_000).length;

for (const [kind, mix] of Object.entries(KINDS)) {
  for (const ipv6 of [0, 1]) {
    for (const vlan of [undefined, 7]) {
      test(`${kind} over IPv${ipv6 ? 6 : 4}${vlan ? ' in a VLAN' : ''} completes without a fault`, () => {
        const [client, server] = makePair({ mix, ipv6, vlan });
        new Lan([client, server]).run(1005);
        const { connectionsOpened, connectionsCompleted, connectionsLive } = client.statistics;
        assert.ok(connectionsOpened >= 100);
        assert.equal(connectionsOpened, connectionsCompleted + connectionsLive);
        assert.ok(connectionsLive <= 1);
        for (const { statistics } of [client, server]) {
          const { framesMalformed, checksumsBad, framesIgnored, repliesDropped } = statistics;
          const { segmentsRetransmitted, resetsSent, unreachablesSent } = statistics;
          assert.deepEqual({ framesMalformed, checksumsBad, framesIgnored, repliesDropped }, NO_FAULTS);
          assert.equal(segmentsRetransmitted + resetsSent + unreachablesSent, 0);
        }
        assert.equal(server.statistics.framesReceived, client.statistics.framesSent);
      });
    }
  }
}

test('both sides count the same', () => {
  const [client, server] = makePair({ mix: { tcp: 1, udp: 1, ping: 1 }, ipv6: 0.5 });
  new Lan([client, server]).run(3005);
  const there = client.statistics;
  const here = server.statistics;
  assert.ok(there.pingsSent > 50 && there.udpRequests > 50 && here.connectionsAccepted > 50);
  assert.equal(there.pingsSent, here.pingsServed);
  assert.equal(there.pingsAnswered, here.pingsServed);
  assert.equal(there.udpResponses, here.udpServed);
  const tcpCompleted = there.connectionsCompleted - there.pingsAnswered - there.udpResponses;
  assert.equal(there.bytesReceived, tcpCompleted * PAGE_BYTES);
});

test('hosts behind three ports connect to each other', () => {
  const ports = [1, 2, 3];
  const all = ports.map((portNumber) =>
    makeHosts({
      portNumber,
      seed: portNumber,
      ipv6: 0.5,
      connectionsPerSecond: 50,
      peers: ports.filter((other) => other !== portNumber).map((other) => ({ portNumber: other, hosts: 10 })),
    }),
  );
  new Lan(all).run(1000);
  for (const { statistics } of all) {
    assert.ok(statistics.connectionsCompleted > 40);
    assert.equal(statistics.connectionsFailed + statistics.framesMalformed + statistics.checksumsBad, 0);
  }
});

test('on any LAN that loses, doubles and delays frames, every connection ends, with each byte once', () => {
  const rate = 100;
  fc.assert(
    fc.property(
      fc.record({
        loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
        duplication: fc.double({ min: 0, max: 0.3, noNaN: true }),
        reordering: fc.double({ min: 0, max: 0.3, noNaN: true }),
      }),
      fc.integer(),
      (impairment, seed) => {
        const [client, server] = makePair({ ipv6: 0.5, seed, connectionsPerSecond: rate });
        const lan = new Lan([client, server], impairment, seed).run(3000);
        const { statistics } = client;
        const isAccounted = (): boolean =>
          statistics.connectionsOpened ===
          statistics.connectionsCompleted + statistics.connectionsFailed + statistics.connectionsLive;
        assert.ok(isAccounted());
        assert.ok(statistics.connectionsCompleted > 0);
        const pages = statistics.connectionsCompleted - statistics.pingsAnswered - statistics.udpResponses;
        assert.ok(statistics.bytesReceived >= pages * PAGE_BYTES);
        assert.ok(statistics.bytesReceived <= statistics.connectionsOpened * PAGE_BYTES);
        for (const { statistics } of [client, server]) {
          assert.equal(statistics.framesMalformed + statistics.checksumsBad, 0);
        }

        // When nothing gets through any more, only what is still being tried is live.
        lan.impairment = { loss: 1, duplication: 0, reordering: 0 };
        lan.run(15_000);
        assert.ok(isAccounted());
        assert.ok(statistics.connectionsLive <= rate * 6.3);
      },
    ),
    { numRuns: 12 },
  );
});

test('a little loss makes no connection fail', () => {
  const [client, server] = makePair({ mix: KINDS.tcp });
  new Lan([client, server], { loss: 0.02, duplication: 0.02, reordering: 0.02 }).run(10_000);
  const { connectionsFailed, connectionsCompleted } = client.statistics;
  assert.equal(connectionsFailed, 0);
  assert.ok(connectionsCompleted > 900);
  assert.ok(server.statistics.segmentsRetransmitted > 0);
});

test('the same seed gives the same frames, another seed others', () => {
  const digest = (seed: number): string => {
    const pair = makePair({ seed, ipv6: 0.3 });
    return new Lan(pair, { loss: 0.05, duplication: 0.05, reordering: 0.05 }).run(2000).hash.digest('hex');
  };
  assert.equal(digest(42), digest(42));
  assert.notEqual(digest(42), digest(43));
  assert.notEqual(digest(42), digest(42 + 2 ** 32));
});

test('without an answer to ARP, connections fail and nothing is left but what is being tried', () => {
  const client = makePair()[0];
  new Lan([client]).run(20_000);
  const { connectionsFailed, connectionsLive, connectionsOpened } = client.statistics;
  assert.ok(connectionsFailed > 1000);
  assert.equal(connectionsOpened, connectionsFailed + connectionsLive);
});

test('before dueMs there is nothing to emit', () => {
  const client = makePair({ connectionsPerSecond: 7 })[0];
  let nowMs = 0;
  for (let step = 0; step < 500; step++) {
    emitted(client, nowMs);
    const dueMs = client.dueMs();
    assert.ok(dueMs > nowMs);
    const earlierMs = nowMs + (dueMs - nowMs) * 0.999;
    if (earlierMs < dueMs) assert.deepEqual(emitted(client, earlierMs), []);
    nowMs = dueMs;
  }
});

test('hosts that only answer are never due', () => {
  assert.equal(makeHosts().dueMs(), Infinity);
  assert.equal(makeHosts({ connectionsPerSecond: 100 }).dueMs(), Infinity);
  assert.equal(makeHosts({ peers: [{ portNumber: 2, hosts: 1 }] }).dueMs(), Infinity);
});

test('a clock that jumps does not make a flood', () => {
  const client = makePair({ connectionsPerSecond: 100 })[0];
  emitted(client, 0);
  emitted(client, 100);
  emitted(client, 3_600_000);
  const { connectionsOpened, connectionsSkipped } = client.statistics;
  assert.ok(connectionsOpened < 120, `${connectionsOpened} opened`);
  assert.ok(connectionsSkipped > 359_000);
});

const WRONG: [Partial<TrafficOptions>, RegExp][] = [
  [{ hosts: 0 }, /hosts is 0; expected 1 to 10000/],
  [{ hosts: 2.5 }, /hosts is 2.5; expected an integer/],
  [{ hosts: 300 }, /port 1 has 300 hosts; 10\.0\.0\.0\/16 leaves each port 254/],
  [{ network: '10.0.1.0/16' }, /10\.0\.1\.0\/16; expected its first address, 10\.0\.0\.0\/16/],
  [{ network: 'fd00::/8' }, /expected an IPv4 network/],
  [{ network: '10.0.0.0/30' }, /prefix length/],
  [{ portNumber: 256 }, /port number is 256; expected 0 to 255/],
  [{ peers: [{ portNumber: 1, hosts: 1 }] }, /port 1 itself/],
  [{ ipv6: 1.5 }, /ipv6 is 1.5; expected 0 to 1/],
  [{ vlan: 4095 }, /vlan is 4095; expected 1 to 4094/],
  [{ seed: 0.5 }, /seed is 0.5; expected an integer/],
  [{ connectionsPerSecond: -1 }, /connectionsPerSecond is -1/],
  [{ bytesPerConnection: -1 }, /bytesPerConnection is -1/],
  [{ mix: { tcp: 0, udp: 0, ping: 0 } }, /mix is all zeros/],
  [{ mix: { tcp: -1, udp: 2, ping: 0 } }, /mix\.tcp is -1/],
];

for (const [options, message] of WRONG) {
  test(`refuses ${JSON.stringify(options)}`, () => {
    assert.throws(() => makeHosts(options), { name: 'RangeError', message });
  });
}
