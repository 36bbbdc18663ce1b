/** Timeouts of zones as they are written. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseZoneTimeouts } from '../../src/table/zone-timeouts.ts';

test('timeouts follow their zone, with commas or blanks', () => {
  assert.deepEqual(
    parseZoneTimeouts('zone=5,udp_first=1 udp_single=0x2 zone=0,tcp_syn_sent=3,icmp_reply=4294967'),
    new Map([
      [5, { udpFirst: 1, udpSingle: 2 }],
      [0, { tcpSynSent: 3, icmpReply: 4_294_967 }],
    ]),
  );
});

test('all of Open vSwitch’s timeouts have their names', () => {
  const names = [
    ...['tcp_syn_sent', 'tcp_syn_recv', 'tcp_established', 'tcp_fin_wait', 'tcp_time_wait', 'tcp_close'],
    ...['udp_first', 'udp_single', 'udp_multiple', 'icmp_first', 'icmp_reply'],
  ];
  const timeouts = parseZoneTimeouts(`zone=1,${names.map((name, i) => `${name}=${i + 1}`)}`).get(1)!;
  assert.equal(Object.keys(timeouts).length, 11);
});

const WRONG: readonly [text: string, message: RegExp][] = [
  ['', /^line 1, column 1: nothing; expected zone=ZONE,TIMEOUT=SECONDS$/],
  ['zone=1', /^line 1, column 1: zone 1 without a timeout; expected TIMEOUT=SECONDS behind it$/],
  ['zone=1,zone=2,udp_first=1', /column 1: zone 1 without a timeout/],
  ['udp_first=1', /column 1: "udp_first"; expected zone=ZONE before a timeout$/],
  [
    'zone=1,udp_frist=1',
    /column 8: unknown "udp_frist"; did you mean udp_first\?; expected one of zone, tcp_syn/,
  ],
  ['zone=65536,udp_first=1', /column 6: "65536"; expected a zone from 0 to 65535$/],
  ['zone=1,udp_first=0', /column 18: "0"; expected seconds from 1 to 4294967$/],
  ['zone=1,udp_first=1s', /column 18: "1s"; expected seconds from 1 to 4294967$/],
  ['zone=1,udp_first', /"udp_first" without a value; expected udp_first=SECONDS$/],
  ['zone=1,udp_first=1,udp_first=2', /column 20: "udp_first" twice; expected it once in a zone$/],
  ['zone=1,udp_first=1,zone=1,udp_first=2', /column 20: zone 1 twice; expected each zone once$/],
];

for (const [text, message] of WRONG) {
  test(`"${text}" is no timeout`, () => {
    assert.throws(() => parseZoneTimeouts(text), { name: 'FlowError', message });
  });
}
