/** Filters of connections that are wrong; what the right ones mean is in test/datapath/connections.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConnectionFilter, shownState, TCP_STATES } from '../../src/table/connection-filter.ts';

const WRONG: readonly [words: string[], message: RegExp][] = [
  [['zone=x'], /^line 1, column 6: "x"; expected a zone from 0 to 65535$/],
  [['zone=65536'], /expected a zone from 0 to 65535$/],
  [['zone'], /^line 1, column 1: "zone" without a value; expected zone=VALUE$/],
  [['zone=1', 'zone=2'], /^line 1, column 8: "zone" twice; expected it once$/],
  [['mark=x'], /^line 1, column 6: "x"; expected ct_mark/],
  [['mark=1/y'], /^line 1, column 8: "y"; expected ct_mark/],
  [['labels=-1'], /"-1"; expected ct_label/],
  [
    ['state=OPEN'],
    /^line 1, column 7: "OPEN"; expected one of CLOSED, SYN_SENT, ESTABLISHED, CLOSING, TIME_WAIT$/,
  ],
  [['invalid=1'], /^line 1, column 1: unknown field "invalid"; expected one of ct_nw_src, /],
  [['ct_nw_srcc=10.0.0.1'], /did you mean ct_nw_src\?/],
  [['ct_nw_src=10.0.0'], /^line 1, column 11: "10.0.0"; expected an IPv4 address/],
  [['ct_nw_src=10.0.0.0/33'], /expected a prefix length from 0 to 32$/],
  [['ct_nw_src=fc00::1'], /expected an IPv4 address/],
  [['ct_ipv6_dst=10.0.0.1'], /expected an IPv6 address/],
  [
    ['ct_nw_src=10.0.0.1,ct_ipv6_dst=fc00::1'],
    /column 20: "ct_ipv6_dst" beside an address of the other family/,
  ],
  [['ct_nw_src=1.1.1.1,ct_nw_src=1.1.1.2'], /column 19: "ct_nw_src" twice; expected it once in a word$/],
  [['ct_nw_proto=256'], /expected a protocol from 0 to 255$/],
  [['tcp,udp'], /column 5: a second protocol; expected one$/],
  [['ct_tp_dst=65536,tcp'], /expected a number from 0 to 65535$/],
  [['icmp_type=8'], /"icmp_type"; expected icmp or icmpv6 beside it$/],
  [['icmp,icmp_code=256'], /expected a number from 0 to 255$/],
  [['icmp,ct_tp_dst=8'], /"ct_tp_dst" of ICMP; expected icmp_id, icmp_type or icmp_code$/],
  [['tcp', 'tcp', 'udp'], /^line 1, column 9: "udp" after two words about addresses; expected the original/],
];

for (const [words, message] of WRONG) {
  test(`${words.join(' ')}: says where it is wrong`, () => {
    assert.throws(() => parseConnectionFilter(words), { name: 'FlowError', message });
  });
}

test('states are shown as Open vSwitch shows them', () => {
  assert.deepEqual(
    TCP_STATES.map((_, state) => shownState(state)),
    ['CLOSED', 'SYN_SENT', 'ESTABLISHED', 'CLOSING', 'TIME_WAIT', 'TIME_WAIT'],
  );
});
