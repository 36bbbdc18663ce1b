import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseChange, parseFilter, parseFlows, parseLines } from '../../src/table/parse.ts';
import { printFlow, printRule } from '../../src/table/print.ts';
import { creditRule } from '../../src/table/rule.ts';
import { FlowError } from '../../src/table/syntax.ts';
import { Tables } from '../../src/table/tables.ts';
import { parseFlow } from './flow.ts';
import { earlyFlow, lateFlow } from './language.ts';
import { flowText } from './packets.ts';

const ports = new Map([
  ['alice', 1],
  ['p-2', 2],
]);
const names = new Map([...ports].map(([name, number]) => [number, { name }]));

test('what is printed reads as the same flow', () => {
  fc.assert(
    fc.property(fc.oneof(flowText, earlyFlow, lateFlow), (text) => {
      const flow = parseFlow(text);
      const again = parseFlow(printFlow(flow));
      assert.ok(again.match.equals(flow.match), text);
      assert.deepEqual({ ...again, match: 0 }, { ...flow, match: 0 });
      assert.equal(printFlow(again), printFlow(flow));
    }),
    { numRuns: 1000 },
  );
});

test('ports go by name, quoted where the name is not plain', () => {
  const flow = parseFlow('in_port="p-2",actions=alice,output:"p-2",resubmit(alice,3),resubmit:p-2', ports);
  const printed = 'in_port="p-2" actions=output:alice,output:"p-2",resubmit(alice,3),resubmit:"p-2"';
  assert.equal(printFlow(flow, names), printed);
  assert.equal(
    printFlow(parseFlow(printed, ports)),
    'in_port=2 actions=output:1,output:2,resubmit(1,3),resubmit:2',
  );
});

test('a port that has the name of something else goes in quotes', () => {
  const [text, odd] = [
    'in_port="any" actions=output:"local",LOCAL',
    [
      ['any', 1],
      ['local', 2],
    ] as const,
  ];
  const flow = parseFlow(text, new Map(odd));
  assert.equal(printFlow(flow, new Map(odd.map(([name, number]) => [number, { name }]))), text);
  assert.equal(printFlow(flow), 'in_port=1 actions=output:2,LOCAL');
});

test('a list of flows may have comments and blank lines', () => {
  const flows = parseFlows(
    '# first\n\n  table=1, priority=7 , arp, actions=NORMAL  # second\r\n\nactions=drop',
  );
  assert.deepEqual(
    flows.map((flow) => printFlow(flow)),
    ['table=1, priority=7,arp actions=NORMAL', 'actions=drop'],
  );
});

test('the output of dump-flows is a list of flows', () => {
  const text = `NXST_FLOW reply (xid=0x4):
 cookie=0x5, duration=0.018s, table=1, n_packets=9, n_bytes=90, idle_age=0, priority=10,ip,in_port=1 actions=output:2
 cookie=0x0, duration=0.004s, table=3, n_packets=0, n_bytes=0, reset_counts actions=resubmit(,5)`;
  assert.deepEqual(
    parseFlows(text).map((flow) => printFlow(flow)),
    [
      'cookie=0x5, table=1, priority=10,ip,in_port=1 actions=output:2',
      'table=3, reset_counts actions=resubmit(,5)',
    ],
  );
});

test('a rule is printed with its past', () => {
  const tables = new Tables();
  tables.add([parseFlow('cookie=0x1f,table=2,priority=3,tcp,tp_dst=80,actions=alice', ports)], 1000);
  const rule = tables.dump()[0]!;
  creditRule(rule, 4, 400, 2000);
  assert.equal(
    printRule(rule, 3500, names),
    'cookie=0x1f, duration=2.500s, table=2, n_packets=4, n_bytes=400, idle_age=1, priority=3,tcp,tp_dst=80 actions=output:alice',
  );
  tables.modify(parseChange('table=2,idle_timeout=9,actions=alice', ports), false, 1500);
  assert.match(printRule(rule, 4500, names), / n_bytes=400, idle_age=2, hard_age=3, priority=3,/);
});

test('wildcards match everything', () => {
  assert.equal(printFlow(parseFlow('in_port=*,dl_src=ANY,tcp,tp_src=*,actions=drop')), 'tcp actions=drop');
});

test('filters and changes have their own cookies, priorities and ports', () => {
  assert.deepEqual(
    { ...parseFilter('table=3,cookie=0x5/-1,out_port=alice,out_group=7', ports), match: 0 },
    { table: 3, priority: 32768, cookie: 5n, cookieMask: 2n ** 64n - 1n, outPort: 1, outGroup: 7, match: 0 },
  );
  const { filter, flow } = parseChange('cookie=7,ip,actions=2');
  assert.deepEqual([filter.cookieMask, flow.cookie], [0n, 7n]);
});

const mistakes: [text: string, column: number, message: RegExp][] = [
  [
    'priority=10,ip, nw_scr=1.2.3.4,actions=1',
    17,
    /unknown field "nw_scr"; did you mean nw_src\?; expected a match field or "actions="/,
  ],
  ['priority=65536,actions=1', 10, /"65536"; expected a priority from 0 to 65535/],
  ['prioirty=1,actions=1', 1, /did you mean priority\?/],
  ['table=255,actions=1', 7, /a table from 0 to 254/],
  ['idle_timeout=65536,actions=1', 14, /seconds from 0 to 65535/],
  ['cookie=5/7,actions=1', 8, /a cookie without a mask/],
  ['ip,out_port=3,actions=1', 4, /"out_port" in a flow/],
  ['priority=10', 12, /the end of the flow; expected "actions="/],
  ['tp_dst=80,actions=1', 1, /"tp_dst" without tcp or tcp6 or udp or udp6 or sctp/],
  [
    'nw_src=1.2.3.4,actions=1',
    1,
    /"nw_src" without ip or arp or rarp; expected ip or arp or rarp in the match/,
  ],
  ['ip,ip_src=1.2.3,actions=1', 11, /"1.2.3"; expected an IPv4 address/],
  ['ip,nw_src=10.0.0.0/33,actions=1', 20, /a prefix length from 0 to 32/],
  ['ip,nw_tos=3,actions=1', 11, /nw_tos without bits 0x3/],
  ['tcp,tp_dst=99999,actions=1', 12, /tcp_dst from 0 to 65535/],
  ['ip,nw_ttl=3/1,actions=1', 13, /nw_ttl without a mask/],
  ['tcp,udp,actions=1', 5, /"udp" contradicts/],
  ['vlan_vid=5,actions=1', 10, /without bit 0x1000; expected dl_vlan=5 or vlan_vid=0x1005/],
  ['dl_vlan=4096,actions=1', 9, /dl_vlan from 0 to 4095/],
  ['ip,ip_frag=foo,actions=1', 12, /one of no, yes, first, later, not_later/],
  ['tcp,tcp_flags=+sny,actions=1', 15, /unknown flag "sny" of tcp_flags; did you mean syn\?/],
  ['dl_src=00:11:22:33:44,actions=1', 8, /an Ethernet address/],
  ['ip,dl_src,actions=1', 4, /"dl_src" without a value; expected dl_src=VALUE/],
  [
    'in_port=alcie,actions=1',
    9,
    /no port "alcie"; did you mean alice\?; expected a number or one of alice, p-2/,
  ],
  ['actions=outptu:1', 9, /unknown action "outptu"; did you mean output\?/],
  ['actions=constructor', 9, /unknown action "constructor"/],
  ['actions=output:bob', 16, /no port "bob"/],
  ['actions=1,drop', 11, /"drop" beside other actions/],
  ['actions=enqueue(1,2),1', 9, /"enqueue" is not supported/],
  ['actions=ct(commit),1', 9, /"ct" without ip or ipv6; expected ip or ipv6 in the match/],
  ['ip,actions=ct(comit)', 15, /unknown option "comit"; did you mean commit\?/],
  ['ip,actions=ct(commit,commit)', 22, /"commit" twice/],
  ['ip,ct_state=+inv+trk,actions=ct(commit)', 33, /"commit" of packets that are \+inv/],
  ['ip,actions=ct(force)', 15, /"force" without commit; expected commit as well/],
  ['ip,actions=ct(nat(src=1.2.3.4))', 15, /"nat" without commit/],
  ['ip,actions=ct(exec(set_field:1->ct_mark))', 15, /"exec" without commit/],
  ['ip,actions=ct(table=255)', 21, /a table from 0 to 254/],
  ['ip,actions=ct(zone=65536)', 20, /a zone from 0 to 65535/],
  ['ip,actions=ct(zone=reg0)', 20, /32 bits; expected 16 bits of a field/],
  ['ip,actions=ct(zone=reg16)', 20, /unknown field "reg16"; did you mean reg1\?/],
  ['ip,actions=ct(commit,zone=NXM_OF_TCP_SRC[])', 27, /without tcp or tcp6/],
  ['ip,actions=ct(commit,nat(src=1.2.3.4,dst=1.2.3.4))', 38, /"dst" beside src/],
  ['ip,actions=ct(commit,nat(random))', 22, /nat without src or dst/],
  ['ip,actions=ct(commit,nat(src=1.2.3.4,random,hash))', 38, /"random" beside hash/],
  ['ip,actions=ct(commit,nat(src=1.2.3.9-1.2.3.4))', 38, /"1.2.3.4"; expected an address after the first/],
  ['ip,actions=ct(commit,nat(src=1.2.3.4:9-8))', 40, /a port from 9 to 65535/],
  ['ip,actions=ct(commit,nat(src=1.2.3.4:0))', 38, /a port from 1 to 65535/],
  ['ip,actions=ct(commit,nat(src=0.0.0.0:80))', 30, /an address that is not zero/],
  ['ip,actions=ct(commit,nat(src=1.2.3))', 30, /an IPv4 address/],
  ['ip,actions=ct(commit,nat(src=fe80::1))', 30, /"fe80::1" without ipv6/],
  ['ipv6,actions=ct(commit,nat(src=fe80::1-1.2.3.4))', 40, /"1.2.3.4" without ip/],
  ['ipv6,actions=ct(commit,nat(src=[fe80::1]:x))', 32, /ADDRESS\[-ADDRESS\]\[:PORT\[-PORT\]\]/],
  ['tcp,actions=ct(commit,helper=ftp)', 23, /unknown .*"helper"; expected one of commit, force, table/],
  ['tcp,actions=ct(commit,alg)', 23, /alg=HELPER/],
  ['tcp,actions=ct(commit,alg=sip)', 27, /"sip"; expected ftp or tftp/],
  ['ip,actions=ct(commit,alg=ftp)', 26, /"ftp" without tcp or tcp6/],
  ['udp,actions=ct(commit,alg=ftp)', 27, /"ftp" without tcp or tcp6/],
  ['tcp6,actions=ct(alg=tftp)', 21, /"tftp" without udp or udp6/],
  ['ip,actions=ct(commit,exec(set_field:5->reg0))', 40, /"reg0" set inside ct; expected ct_mark or ct_label/],
  ['ip,actions=ct(commit,exec(output:1))', 27, /"output" inside ct; expected set_field, load or move/],
  ['actions=set_field:5->ct_mark', 22, /"ct_mark" set outside of ct/],
  ['actions=ct_clear(1)', 18, /ct_clear without a value/],
  ['actions=resubmit(1,2', 9, /expected "\)"/],
  ['actions=resubmit(,300)', 19, /a table from 0 to 254/],
  ['ip,actions=resubmit(,1,ct)', 24, /"ct" without ct_state=\+trk-inv/],
  ['ct_state=+new,actions=resubmit(1,,ct)', 35, /"ct"; expected resubmit\(PORT,TABLE\) or/],
  ['actions=resubmit(1,2,3)', 22, /"3"; expected resubmit\(PORT,TABLE\)/],
  ['table=3,actions=goto_table:3', 28, /a table after 3/],
  [
    'actions=goto_table:3,1',
    22,
    /this order: meter, actions, clear_actions, write_actions, write_metadata, goto_table/,
  ],
  ['actions=push_vlan:0x800', 19, /0x8100 or 0x88a8/],
  ['actions=mod_vlan_vid:4096', 22, /dl_vlan from 0 to 4095/],
  ['ip,actions=set_field:80->tcp_dst', 26, /"tcp_dst" without tcp or tcp6/],
  ['actions=set_field:3->vlan_pcp', 22, /of a packet that may have no tag/],
  ['dl_vlan=3,actions=strip_vlan,set_field:3->vlan_pcp', 43, /of a packet that may have no tag/],
  ['dl_vlan=3,actions=strip_vlan,move:vlan_pcp[]->reg0[0..2]', 35, /of a packet that may have no tag/],
  ['actions=set_field:0x800->eth_type', 26, /"eth_type" cannot be set/],
  ['actions=set_field:1->NXM_NX_REG0[]', 22, /did you mean reg0\?/],
  ['tun_src=1.2.3.4,actions=1', 1, /"tun_src" is not supported/],
  ['ip,ct_nw_src=1.2.3.4,actions=1', 4, /"ct_nw_src" without ip and ct_state=\+trk-inv, \+new or \+est/],
  ['ct_state=+trk,ct_nw_proto=6,actions=1', 15, /"ct_nw_proto" without ct_state=\+trk-inv/],
  ['ct_state=+new,icmp6,icmp_type=135,icmp_code=0,ct_ipv6_src=::1,actions=1', 47, /"ct_ipv6_src" without/],
  ['reg0[0..3]=16,actions=1', 12, /a number of 4 bits from 0 to 15/],
  ['ip,nw_ttl[0..3]=1,actions=1', 4, /nw_ttl without a mask/],
  ['reg0[4..3]=1,actions=1', 6, /the lower bit first/],
  ['reg0[0..32]=1,actions=1', 9, /a bit of reg0 from 0 to 31/],
  ['ct_state=+trk+tkr,actions=1', 10, /unknown flag "tkr" of ct_state; did you mean trk\?/],
  ['reg16=1,actions=1', 1, /unknown field "reg16"; did you mean reg1\?/],
  ['idle_timeout=1', 15, /the end of the flow/],
  ['send_flow_rem=1,actions=1', 15, /send_flow_rem without a value/],
  ['actions=LOCAL:5', 15, /LOCAL without a value/],
  ['actions=load:16->reg0[0..3]', 14, /a number of 4 bits from 0 to 15/],
  ['actions=load:1->NXM_OF_ETH_TYPE[]', 17, /cannot be set/],
  ['actions=load:1->NXM_NX_RGE0[]', 17, /unknown field "NXM_NX_RGE0"; did you mean NXM_NX_REG0\?/],
  ['actions=move:reg0[]->reg1[0..3]', 14, /32 bits into 4/],
  ['actions=move:NXM_OF_IP_SRC[]->reg1[]', 14, /"NXM_OF_IP_SRC\[\]" without ip/],
  ['actions=output(port=1,max_len=5)', 31, /a length from 14 to/],
  ['actions=output(prot=1,max_len=50)', 16, /unknown option "prot"; did you mean port\?/],
  ['actions=controller(reason=actoin)', 27, /unknown reason "actoin"; did you mean action\?/],
  ['actions=controller(id=1,id=2)', 25, /"id" twice/],
  ['actions=resubmit:in_port', 18, /with one of the two/],
  ['actions=conjunction(1,3/2)', 23, /a clause from 1 to 2/],
  ['actions=conjunction(1,1/65)', 25, /a number of clauses from 2 to 64/],
  ['actions=conjunction(1,1/2),2', 28, /"2" beside conjunction/],
  ['actions=sample(collector_set_id=1)', 16, /sample without probability/],
  ['actions=1,meter:1', 11, /"meter" after 1; expected this order/],
  ['actions=meter:1,meter:1', 17, /"meter" twice/],
  ['actions=write_actions(learn())', 23, /"learn" inside write_actions/],
  ['actions=clone(goto_table:1)', 15, /"goto_table" inside another action/],
  ['actions=clone(1', 9, /expected "\)"/],
  ['actions=note:0', 14, /bytes such as 01.02.ff/],
  ['actions=learn(tabel=1)', 15, /unknown word "tabel" in learn; did you mean table\?/],
  ['actions=learn(table=300)', 21, /a table from 0 to 254/],
  ['actions=learn(NXM_OF_IP_SRC[]=NXM_OF_ARP_SPA[])', 15, /"NXM_OF_IP_SRC\[\]" without ip/],
  ['actions=learn(eth_type=0x800,NXM_OF_IP_SRC[])', 30, /"NXM_OF_IP_SRC\[\]" without ip/],
  ['actions=learn(result_dst=reg0[])', 26, /a single bit/],
  ['ip,actions=push_mpls:0x8847,set_field:1.2.3.4->ip_src', 48, /"ip_src" without ip/],
  ['actions=set_field:3', 19, /set_field:VALUE\[\/MASK\]->FIELD/],
];

test('a mistake is answered with its place, what was found and what was expected', () => {
  for (const [text, column, message] of mistakes) {
    assert.throws(
      () => parseFlows(`actions=1\n${text}`, ports),
      (error: unknown) => {
        assert.ok(error instanceof FlowError, `${text}: ${error}`);
        assert.deepEqual([error.line, error.column], [2, column], `${text}: ${error.message}`);
        assert.match(error.message, message);
        assert.ok(
          error.message.startsWith(`line 2, column ${column}: ${error.found}; expected ${error.expected}`),
        );
        return true;
      },
      text,
    );
  }
});

test('nothing is read that is longer or deeper than anybody writes', () => {
  const nested = (depth: number) => `actions=${'clone('.repeat(depth)}1${')'.repeat(depth)}`;
  assert.equal(printFlow(parseFlow(nested(32))), nested(32).replace('(1)', '(output:1)'));
  assert.throws(() => parseFlow(nested(33)), /too many lists one inside another; expected at most 32/);
  assert.throws(() => parseFlow(nested(20_000)), /a longer line; expected at most 65536 characters/);
  assert.throws(() => parseFlow(`reg0=${'1'.repeat(60_000)},actions=1`), /reg0 from 0 to/);
});

test('some bits of a field can be matched', () => {
  const said: [string, string][] = [
    ['reg0[0..3]=5', 'reg0=0x5/0xf'],
    ['reg0[3]=1,reg0[0]=0', 'reg0=0x8/0x9'],
    ['tcp_dst[]=5,tcp', 'tcp,tp_dst=5'],
    ['NXM_OF_IN_PORT[]=5', 'in_port=5'],
    ['NXM_OF_ETH_TYPE[]=0x800,nw_src=1.2.3.4', 'ip,nw_src=1.2.3.4'],
    ['vlan_tci[12]=1', 'vlan_tci=0x1000/0x1000'],
    ['ct_state[5]=1', 'ct_state=+trk'],
    ['xxreg0[100..127]=0x5', 'reg0=0x50/0xfffffff0'],
  ];
  for (const [text, printed] of said) {
    assert.equal(printFlow(parseFlow(`${text},actions=drop`)), `${printed} actions=drop`);
  }
});

test('flows are printed with their timeouts, flags and importance as dump-flows prints them', () => {
  const text =
    'table=1, idle_timeout=5, hard_timeout=6, send_flow_rem reset_counts importance=7, ip actions=drop';
  const flow = parseFlow(text);
  assert.equal(printFlow(flow), text);
  assert.deepEqual([flow.idleTimeoutS, flow.hardTimeoutS, flow.importance], [5, 6, 7]);
});

test('no text brings the parser down', () => {
  const word = fc.constantFrom(
    'ip',
    'tcp',
    'tp_dst',
    '=',
    ':',
    '(',
    ')',
    '"',
    ',',
    ' ',
    '->',
    '/',
    'actions',
    '1',
    '0x',
    'set_field',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string())), (words) => {
      try {
        parseFlows(words.join(''));
      } catch (error) {
        assert.ok(error instanceof FlowError, `${error}`);
      }
    }),
  );
});

test('each line is read alone, and an error names its line', () => {
  assert.equal(parseLines('# all of them\nip\n\narp\n', parseFilter).length, 2);
  assert.throws(() => parseLines('ip,actions=1\nip,nw_scr=1,actions=2\n', parseChange), {
    name: 'FlowError',
    line: 2,
    column: 4,
  });
});
