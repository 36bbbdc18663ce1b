/** Hosts talk to hosts: every kind of connection, both IP versions, with and without a VLAN. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Lan, makePair } from './lan.ts';

const KINDS = {
  tcp: { tcp: 1, udp: 0, ping: 0 },
  udp: { tcp: 0, udp: 1, ping: 0 },
  ping: { tcp: 0, udp: 0, ping: 1 },
};

for (const [kind, mix] of Object.entries(KINDS)) {
  for (const ipv6 of [0, 1]) {
    for (const vlan of [undefined, 7]) {
      test(`${kind} over IPv${ipv6 ? 6 : 4}${vlan ? ' in a VLAN' : ''} completes, every frame in order`, () => {
        const [client, server] = makePair({ mix, ipv6, vlan });
        new Lan([client, server]).run(1000.5);
        const { statistics } = client;
        assert.ok(statistics.connectionsOpened >= 100);
        assert.ok(statistics.connectionsLive <= 1);
        assert.equal(statistics.connectionsFailed, 0);
        assert.equal(
          statistics.connectionsOpened,
          statistics.connectionsCompleted + statistics.connectionsLive,
        );
        for (const { statistics } of [client, server]) {
          assert.equal(statistics.framesMalformed + statistics.checksumsBad + statistics.repliesDropped, 0);
          assert.equal(statistics.segmentsRetransmitted + statistics.resetsSent, 0);
        }
        assert.equal(server.statistics.framesReceived, statistics.framesSent);
      });
    }
  }
}

test('a client receives the whole page of each connection, once', () => {
  const [client, server] = makePair({ mix: KINDS.tcp, connectionsPerSecond: 50 });
  new Lan([client, server]).run(1000).run(0);
  client.statistics.connectionsLive;
  const page = client.statistics.bytesReceived / client.statistics.connectionsCompleted;
  assert.ok(page > 10_000 && page < 10_200, `${page} bytes a page`);
});
