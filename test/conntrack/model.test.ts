/**
 * Connection tracking held against a naive model of it (model/tracker.ts): packets of random lives through ct() (model/
 * life.ts, model/world.ts), and what is told of each, what becomes of its bytes, and what is then known of its connection
 * are the same. A failure says its seed, and the last packets of the connection.
 *
 *     SEED=7 PACKETS=10000000 node --test dist/test/conntrack/model.test.js
 *     STATISTICS=1 node --test dist/test/conntrack/model.test.js       how often what happened
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seeded } from '../support/seeded.ts';
import { Trial } from './model/trial.ts';

const PACKETS = Number(process.env.PACKETS ?? 1_000_000);
/** So many see everything happen. */
const ENOUGH = 300_000;

/** What is to be seen, as the model calls it: each of its rules was put to the test. */
const KINDS = [
  // What is told of packets
  ...['new|trk', 'new|trk|snat', 'new|trk|dnat', 'new|trk|snat|dnat'].map((state) => `state ${state}`),
  ...['est|trk', 'est|trk|snat', 'est|trk|dnat', 'est|trk|snat|dnat'].map((state) => `state ${state}`),
  ...['est|rpl|trk', 'est|rpl|trk|snat', 'est|rpl|trk|dnat'].map((state) => `state ${state}`),
  ...['rel|trk', 'rel|trk|snat', 'rel|trk|dnat'].map((state) => `state ${state}`),
  ...['rel|rpl|trk', 'rel|rpl|trk|snat', 'rel|rpl|trk|dnat'].map((state) => `state ${state}`),
  'new, of no connection',
  'told again',
  'error told again',
  // Why they are invalid
  'begins nothing',
  'ctChecksum',
  'ctIpv4Checksum',
  'ctTcpFlags',
  'ctTcpSequence',
  'misdirected error',
  'no query',
  'port 0',
  'quotes nothing',
  'unrelated error',
  'wrong length',
  // What they do to their connections
  ...[1, 6, 17, 47, 58, 89, 132, 255].flatMap((protocol) =>
    ['begun', 'valid', 'valid new'].map((verdict) => `protocol ${protocol} ${verdict}`),
  ),
  ...['invalid', 'tolerated', 'unchecked', 'new'].map((verdict) => `protocol 6 ${verdict}`),
  'begun by SYN',
  'begun in the middle',
  ...['SYN_RECV', 'ESTABLISHED', 'CLOSE', 'FIN_WAIT', 'TIME_WAIT'].map((to) => `TCP_SYN_SENT to TCP_${to}`),
  ...['SYN_SENT', 'ESTABLISHED', 'CLOSE', 'FIN_WAIT', 'TIME_WAIT'].map((to) => `TCP_SYN_RECV to TCP_${to}`),
  'TCP_ESTABLISHED to TCP_FIN_WAIT',
  'TCP_ESTABLISHED to TCP_CLOSE',
  'TCP_FIN_WAIT to TCP_TIME_WAIT',
  'TCP_FIN_WAIT to TCP_CLOSE',
  'TCP_TIME_WAIT to TCP_CLOSE',
  'UDP_FIRST to UDP_SINGLE',
  'UDP_FIRST to UDP_MULTIPLE',
  'UDP_SINGLE to UDP_MULTIPLE',
  'ICMP_FIRST to ICMP_REPLY',
  // How connections are translated, and why there are none
  ...['src', 'dst'].flatMap((end) =>
    ['as asked for', 'next port', 'none left'].map((choice) => `${end} translated ${choice}`),
  ),
  'reply tuple taken',
  'no more connections',
  'ctZoneFull',
  // How they end
  ...['ctExpired', 'ctReplaced', 'ctFlushed', 'ctForced'],
  ...['expired', 'replaced', 'flushed', 'forced'].map((reason) => `event destroy ${reason}`),
];

test(
  `the datapath and a naive model agree on ${PACKETS} packets`,
  seeded((random) => {
    const trial = new Trial(random);
    trial.run(PACKETS);
    if (process.env.STATISTICS) {
      for (const [what, n] of [...trial.tally].sort()) console.log(`${what}: ${n}`);
    }
    const missing = KINDS.filter((kind) => !trial.tally.has(kind));
    if (PACKETS >= ENOUGH) assert.deepEqual(missing, [], 'never happened');
  }),
);
