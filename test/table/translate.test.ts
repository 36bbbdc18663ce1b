import assert from 'node:assert/strict';
import test from 'node:test';
import {
  DROP_FLOW,
  DROP_NO_SUCH_PORT,
  DROP_OUTPUT_TO_INGRESS,
  DROP_RESERVED_MULTICAST,
  DROP_RESUBMIT_LIMIT,
  DROP_TABLE_MISS,
  OP_DROP,
  OP_END,
} from '../../src/datapath.ts';
import { formatMegaflow } from '../../src/table/megaflow.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { Tables } from '../../src/table/tables.ts';
import { translate } from '../../src/table/translate.ts';
import type { Translation } from '../../src/table/translation.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { contextOf } from './context.ts';
import { keyOf } from './packets.ts';

const ports = new Map([1, 2, 3, 10].map((number) => [number, { name: `p${number}`, up: true }]));
const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';

function run(flows: string, packet: string, macs = new NaiveMacs(8192, 300_000), learn = true): Translation {
  const tables = new Tables();
  tables.add(parseFlows(flows), 0);
  return translate(keyOf(packet), contextOf({ tables, macs, ports, learn }));
}

/** The megaflow as text, ports by number. */
function show(flows: string, packet: string, macs?: NaiveMacs): string {
  const { mask, program } = run(flows, packet, macs);
  return formatMegaflow(keyOf(packet), mask, program, new Map());
}

const actionsOf = (flows: string, packet: string, macs?: NaiveMacs): string =>
  show(flows, packet, macs).replace(/.*, actions:/, '');

const tcp = `in_port=1,dl_src=${A},dl_dst=${B},tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=999,tp_dst=80`;
const tagged = `${tcp},dl_vlan=5,dl_vlan_pcp=3`;

test('a megaflow matches what the rule hit matches and no more', () => {
  assert.equal(
    show('ip,nw_dst=10.0.0.0/24,actions=2', tcp),
    'in_port(1),eth_type(0x0800),ipv4(dst=10.0.0.0/24,frag=no), actions:2',
  );
  assert.equal(show('actions=2', tcp), 'in_port(1),eth_type(0x0800),ipv4(frag=no), actions:2');
  assert.equal(show('actions=2', 'in_port=1,dl_type=0x88cc'), 'in_port(1),eth_type(0x88cc), actions:2');
});

test('a rule passed over costs a prefix, and nothing where the mask tells the packets apart already', () => {
  assert.equal(
    show(`priority=9,tcp,nw_src=10.9.0.0/16,tp_dst=81,actions=3\npriority=1,actions=2`, tcp),
    'in_port(1),eth_type(0x0800),ipv4(src=10.0.0.0/13,frag=no), actions:2',
  );
  assert.equal(
    show('priority=9,arp,arp_spa=1.2.3.4,actions=3\npriority=1,actions=2', tcp),
    show('actions=2', tcp),
  );
  const many = Array.from({ length: 9 }, (_, i) => `priority=9,ip,nw_dst=10.0.1.${i},actions=3`);
  assert.equal(
    show([...many, 'priority=1,actions=2'].join('\n'), tcp),
    'in_port(1),eth_type(0x0800),ipv4(dst=10.0.0.0/24,frag=no), actions:2',
  );
});

test('what an earlier action wrote is known and not matched', () => {
  assert.equal(
    show('tcp,actions=mod_nw_dst:10.0.0.9,resubmit(,1)\ntable=1,ip,nw_dst=10.0.0.9,actions=2', tcp),
    'in_port(1),eth_type(0x0800),ipv4(proto=6,frag=no), actions:set(ipv4(dst=10.0.0.9)),2',
  );
});

test('changes are written before the output that needs them, once, and only if one does', () => {
  assert.equal(
    actionsOf('ip,actions=2,mod_nw_ttl:9,mod_nw_ttl:8,3,10,mod_dl_src:00:00:00:00:00:01', tcp),
    '2,set(ipv4(ttl=8)),3,10',
  );
  assert.equal(actionsOf('ip,nw_ttl=64,actions=mod_nw_ttl:64,2', tcp), '2');
  assert.equal(
    actionsOf('ip,nw_ttl=64,actions=mod_nw_ttl:9,2,mod_nw_ttl:64,3', tcp),
    'set(ipv4(ttl=9)),2,set(ipv4(ttl=64)),3',
  );
  assert.equal(
    actionsOf('tcp,actions=mod_tp_dst:9,2,mod_tp_src:5,3', tcp),
    'set(tcp(dst=9)),2,set(tcp(src=5)),3',
  );
});

test('a field that the packet does not have is not set', () => {
  assert.equal(actionsOf('actions=mod_nw_src:1.2.3.4,mod_tp_dst:9,2', 'in_port=1,arp'), '2');
  const fragment = tcp.replace(',tp_src=999,tp_dst=80', ',nw_frag=later');
  assert.equal(actionsOf('tcp,actions=mod_tp_dst:9,set_field:7->tcp_src,2', fragment), '2');
});

test('tags are pushed, changed and popped as the outputs need it', () => {
  assert.equal(actionsOf('actions=mod_vlan_vid:7,mod_vlan_pcp:2,2', tcp), 'push_vlan(vid=7,pcp=2),2');
  assert.equal(actionsOf('actions=mod_vlan_vid:7,2', tagged), 'set(vlan(vid=7)),2');
  assert.equal(
    actionsOf('actions=strip_vlan,2,mod_vlan_vid:7,3', tagged),
    'pop_vlan,2,push_vlan(vid=7,pcp=0),3',
  );
  assert.equal(
    actionsOf('actions=push_vlan:0x88a8,set_field:4103->vlan_vid,2,strip_vlan,3', tagged),
    'push_vlan(tpid=0x88a8,vid=7,pcp=0),2,pop_vlan,3',
  );
  assert.equal(actionsOf('actions=push_vlan:0x8100,strip_vlan,2', tcp), '2');
  assert.equal(
    show('actions=strip_vlan,2', tagged),
    'in_port(1),vlan(any),eth_type(0x0800),ipv4(frag=no), actions:pop_vlan,2',
  );
  assert.equal(
    show('actions=strip_vlan,2', tcp),
    'in_port(1),vlan(none),eth_type(0x0800),ipv4(frag=no), actions:2',
  );
});

test('a table looked at after the tag went sees the tag behind it', () => {
  assert.equal(
    show('actions=strip_vlan,resubmit(,1)\ntable=1,vlan_tci=0,actions=2', tagged),
    'in_port(1),vlan(any),inner_vlan(none),eth_type(0x0800),ipv4(frag=no), actions:pop_vlan,2',
  );
});

test('outputs follow the order of the tables, and changes outlive a resubmit', () => {
  const flows =
    'ip,actions=resubmit(,1),3,goto_table:2\ntable=1,ip,actions=2,mod_nw_ttl:5\ntable=2,actions=10';
  assert.equal(actionsOf(flows, tcp), '2,set(ipv4(ttl=5)),3,10');
  assert.deepEqual(
    run(flows, tcp).rules.map(({ table }) => table),
    [0, 1, 2],
  );
});

test('a resubmit with a port looks up as if from there, and outputs as from the real one', () => {
  assert.equal(actionsOf('in_port=1,actions=resubmit:2\nin_port=2,actions=IN_PORT,2', tcp), '1,2');
});

test('nothing goes back out of the ingress port unless IN_PORT says so', () => {
  assert.equal(actionsOf('actions=1,2,IN_PORT', tcp), '2,1');
  assert.equal(actionsOf('actions=FLOOD', tcp), '2,3,10');
  assert.equal(actionsOf('actions=ALL', tcp.replace('in_port=1', 'in_port=3')), '1,2,10');
  assert.equal(actionsOf('actions=set_field:0->in_port,1', tcp), '1');
});

test('a packet that goes nowhere is dropped for the most telling reason', () => {
  const reason = (flows: string, packet = tcp): number => {
    const { program } = run(flows, packet);
    assert.deepEqual([program.length, program[0], program[2]], [3, OP_DROP, OP_END]);
    return program[1]!;
  };
  assert.equal(reason('actions=drop'), DROP_FLOW);
  assert.equal(reason('ip,actions=mod_nw_ttl:3'), DROP_FLOW);
  assert.equal(reason('arp,actions=2'), DROP_TABLE_MISS);
  assert.equal(reason('actions=resubmit(,1),resubmit(,2)\ntable=1,actions=drop'), DROP_TABLE_MISS);
  assert.equal(reason('actions=1'), DROP_OUTPUT_TO_INGRESS);
  assert.equal(reason('actions=1,9'), DROP_NO_SUCH_PORT);
  assert.equal(reason('actions=NORMAL', 'in_port=1,dl_dst=01:80:c2:00:00:0e'), DROP_RESERVED_MULTICAST);
  assert.equal(reason('actions=2,resubmit(,0)'), DROP_RESUBMIT_LIMIT);
});

test('tables that go round in circles are stopped, however they do it', () => {
  const round = Array.from({ length: 255 }, (_, i) => `table=${i},actions=resubmit(,${(i + 1) % 255})`).join(
    '\n',
  );
  assert.equal(actionsOf(round, tcp), 'drop');
  const wide = Array.from(
    { length: 60 },
    (_, i) => `table=${i},actions=resubmit(,${i + 1}),resubmit(,${i + 1})`,
  );
  assert.equal(actionsOf(wide.join('\n'), tcp), 'drop');
  const forward = Array.from({ length: 200 }, (_, i) => `table=${i},actions=resubmit(,${i + 1})`);
  assert.equal(actionsOf([...forward, 'table=200,actions=2'].join('\n'), tcp), '2');
});

test('a program that the datapath cannot hold is no program', () => {
  const floods = `actions=${Array(200).fill('FLOOD').join(',')}`;
  assert.equal(actionsOf(floods, tcp), 'drop');
});

test('NORMAL floods to what it does not know and learns who spoke', () => {
  const macs = new NaiveMacs(8192, 300_000);
  assert.equal(
    show('actions=NORMAL', tcp, macs),
    `in_port(1),vlan(none),eth(src=${A},dst=${B}),eth_type(0x0800),ipv4(frag=no), actions:2,3,10`,
  );
  const answer = tcp.replace('in_port=1', 'in_port=2').replace(A, 'x').replace(B, A).replace('x', B);
  assert.equal(actionsOf('actions=NORMAL', answer, macs), '1');
  assert.equal(actionsOf('actions=NORMAL', tcp, macs), '2');
  assert.equal(actionsOf('actions=NORMAL', tagged, macs), '2,3,10');
  assert.equal(run('actions=NORMAL', tcp.replace(B, A), macs).program[1], DROP_OUTPUT_TO_INGRESS);
  assert.deepEqual(
    run('actions=NORMAL', tcp, macs).senders.map(({ port, vlan }) => [port, vlan]),
    [[1, 0]],
  );
});

test('NORMAL learns nothing when it is only asked', () => {
  const macs = new NaiveMacs(8192, 300_000);
  run('actions=NORMAL', tcp, macs, false);
  assert.equal(macs.size, 0);
});

test('ports are named where names are given', () => {
  const { mask, program } = run('actions=2', tcp);
  assert.equal(
    formatMegaflow(keyOf(tcp), mask, program, ports),
    'in_port(p1),eth_type(0x0800),ipv4(frag=no), actions:p2',
  );
});
