/** What the actions of OpenFlow and Open vSwitch come to in megaflows. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  DROP_NO_LIVE_BUCKET,
  DROP_NO_SUCH_GROUP,
  DROP_NO_SUCH_METER,
  DROP_NO_SUCH_PORT,
  DROP_RECIRCULATION_LOST,
  DROP_STATE_FULL,
  DROP_TTL_EXPIRED,
  Key,
  OP_DROP,
} from '../../src/datapath.ts';
import type { Bucket, Group } from '../../src/table/group.ts';
import { formatMegaflow } from '../../src/table/megaflow.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { printFlow } from '../../src/table/print.ts';
import { Tables } from '../../src/table/tables.ts';
import { translate } from '../../src/table/translate.ts';
import type { Translation } from '../../src/table/translation.ts';
import { contextOf, type Given, type TestContext } from './context.ts';
import { parseFlow } from './flow.ts';
import { keyOf } from './packets.ts';

const tcp = `in_port=1,dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=999,tp_dst=80`;
const labelled = 'in_port=1,mpls,mpls_label=5,mpls_ttl=9,mpls_bos=1';

function world(flows: string, given: Given = {}): TestContext {
  const tables = new Tables();
  tables.add(parseFlows(flows), 0);
  const ports = new Map([1, 2, 3].map((number) => [number, { name: `p${number}`, up: number !== 3 }]));
  return contextOf({ tables, ports, ...given });
}

const run = (flows: string, packet: string, given?: Given): Translation =>
  translate(keyOf(packet), world(flows, given));

/** The megaflow as text, ports by number. */
function show(flows: string, packet: string, given?: Given): string {
  const { mask, program } = run(flows, packet, given);
  return formatMegaflow(keyOf(packet), mask, program, new Map());
}

const actionsOf = (flows: string, packet: string, given?: Given): string =>
  show(flows, packet, given).replace(/.*, actions:/, '');

/** Why a packet is dropped. */
function reasonOf(flows: string, packet: string, given?: Given): number {
  const { program } = run(flows, packet, given);
  const at = program.length - 3;
  assert.equal(program[at], OP_DROP);
  return program[at + 1]!;
}

const bucket = (id: number, actions: string, rest: Partial<Bucket> = {}): Bucket => ({
  id,
  weight: 1,
  actions: parseFlow(`actions=${actions}`).actions,
  ...rest,
});
const group = (type: Group['type'], buckets: readonly Bucket[], rest: Partial<Group> = {}) => ({
  groups: new Map([[1, { id: 1, type, buckets, ...rest }]]),
});

test('registers and metadata are never in the mask, and what was moved into them is', () => {
  assert.equal(
    show(
      'actions=load:5->NXM_NX_REG0[],write_metadata:1,goto_table:1\ntable=1,reg0=5,metadata=1,actions=2',
      tcp,
    ),
    'in_port(1),eth_type(0x0800),ipv4(frag=no), actions:2',
  );
  assert.equal(
    show(
      'tcp,actions=move:NXM_OF_TCP_DST[0..7]->NXM_NX_REG0[0..7],resubmit(,1)\ntable=1,reg0=80,actions=2',
      tcp,
    ),
    'in_port(1),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=0x50/0xff), actions:2',
  );
  assert.equal(
    actionsOf('actions=push:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[],2', tcp),
    'set(eth(dst=02:00:00:00:00:0a)),2',
  );
});

test('a port from a field is output to, and the reserved ones mean what they always do', () => {
  assert.equal(actionsOf('actions=load:3->NXM_NX_REG0[],output:NXM_NX_REG0[]', tcp), '3');
  assert.equal(actionsOf('actions=load:0xfffb->NXM_NX_REG0[],output:NXM_NX_REG0[0..15]', tcp), '2,3');
  assert.equal(actionsOf('actions=load:0xfff8->NXM_NX_REG0[],output:NXM_NX_REG0[]', tcp), '1');
  assert.equal(reasonOf('actions=LOCAL', tcp), DROP_NO_SUCH_PORT);
});

test('the action set is carried out at the end, in its own order', () => {
  const late = 'write_actions(output:2,mod_dl_src:00:00:00:00:00:01,push_vlan:0x8100)';
  assert.equal(
    actionsOf(`actions=3,${late},goto_table:1\ntable=1,actions=3`, tcp),
    '3,3,push_vlan(vid=0,pcp=0),set(eth(src=00:00:00:00:00:01)),2',
  );
  assert.equal(
    actionsOf('actions=3,write_actions(output:2),goto_table:1\ntable=1,actions=clear_actions', tcp),
    '3',
  );
  assert.equal(actionsOf('actions=3,exit,write_actions(output:2)', tcp), '3');
});

test('what a clone does to the packet, the rest does not see', () => {
  assert.equal(
    actionsOf('actions=clone(mod_dl_src:00:00:00:00:00:01,2),3', tcp),
    'clone(set(eth(src=00:00:00:00:00:01)),2),3',
  );
  assert.equal(actionsOf('actions=clone(2),3', tcp), '2,3');
  assert.equal(actionsOf('actions=clone(exit,2),3', tcp), '3');
});

test('groups: all buckets, the first, or the first that is alive', () => {
  const buckets = [bucket(1, 'push_vlan:0x8100,2'), bucket(2, '3')];
  assert.equal(
    actionsOf('actions=group:1', tcp, group('all', buckets)),
    'tally(1),clone(tally(2),push_vlan(vid=0,pcp=0),2),tally(3),3',
  );
  assert.equal(actionsOf('actions=group:1', tcp, group('indirect', [buckets[1]!])), 'tally(1),tally(2),3');
  const watching = [bucket(1, '2', { watchPort: 3 }), bucket(2, '3', { watchPort: 2 })];
  assert.equal(actionsOf('actions=group:1', tcp, group('fastFailover', watching)), 'tally(1),tally(2),3');
  const dead = [bucket(1, '2', { watchPort: 3 }), bucket(2, '2', { watchGroup: 1 })];
  assert.equal(reasonOf('actions=group:1', tcp, group('fastFailover', dead)), DROP_NO_LIVE_BUCKET);
  assert.equal(reasonOf('actions=group:1', tcp), DROP_NO_SUCH_GROUP);
});

test('a select group leaves the choice to the datapath, or hashes the fields that it names', () => {
  const buckets = [bucket(1, '2'), bucket(2, 'push_vlan:0x8100,3', { weight: 5 }), bucket(3, '9')];
  assert.equal(
    show('actions=group:1', tcp, group('select', buckets)),
    'in_port(1),eth_type(0x0800),ipv4(frag=no), actions:tally(1),select(basis=0,' +
      'bucket(id=1,weight=1,actions(tally(2),2)),' +
      'bucket(id=2,weight=5,actions(tally(3),push_vlan(vid=0,pcp=0),3)),' +
      'bucket(id=3,weight=1,actions(tally(4),drop)))',
  );
  const field = parseFlow('tcp,tp_src=1,actions=move:NXM_OF_TCP_SRC[]->NXM_NX_REG0[0..15]').actions[0]!;
  assert.ok(field.kind === 'move');
  const ports = { field: field.from.field, value: new Uint8Array(2), mask: field.from.field.bits };
  const hashed = group('select', [bucket(1, '2'), bucket(2, '3')], {
    selection: { method: 'hash', param: 7n, fields: [ports] },
  });
  const taken = new Set<string>();
  for (let source = 1; source < 40; source++) {
    const packet = tcp.replace('tp_src=999', `tp_src=${source}`);
    assert.match(show('actions=group:1', packet, hashed), new RegExp(`tcp\\(src=${source}\\)`));
    taken.add(actionsOf('actions=group:1', packet, hashed));
  }
  assert.deepEqual([...taken].sort(), ['tally(1),tally(2),2', 'tally(1),tally(2),3']);
});

test('a packet whose time is up goes to the controllers and no further', () => {
  const dying = tcp.replace('nw_ttl=64', 'nw_ttl=1');
  const flows = 'ip,actions=dec_ttl(4,5),2';
  assert.equal(
    show(flows, tcp),
    'in_port(1),eth_type(0x0800),ipv4(ttl=64,frag=no), actions:set(ipv4(ttl=63)),2',
  );
  const context = world(flows);
  const { program } = translate(keyOf(dying), context);
  assert.equal(
    formatMegaflow(keyOf(dying), new Uint8Array(128), program, new Map()).replace(/.*:/, ''),
    'controller(1),controller(2)',
  );
  assert.deepEqual(
    [1, 2].map((number) => {
      const punt = context.punts.get(number)!;
      return punt.kind === 'packetIn' && [punt.reason, punt.controller, punt.table];
    }),
    [
      ['invalid_ttl', 4, 0],
      ['invalid_ttl', 5, 0],
    ],
  );
  assert.equal(reasonOf(flows, dying, { punt: () => undefined }), DROP_TTL_EXPIRED);
  assert.equal(reasonOf('actions=controller', tcp, { punt: () => undefined }), DROP_STATE_FULL);
  assert.equal(actionsOf('mpls,actions=dec_mpls_ttl,2', labelled), 'set(mpls(ttl=8)),2');
  assert.equal(
    actionsOf('ip,actions=resubmit(,1),3\ntable=1,ip,actions=dec_ttl(4),2', dying),
    'controller(1),3',
  );
});

test('meters, samples and short copies', () => {
  const meters = new Map([[4, 17]]);
  assert.equal(actionsOf('actions=meter:4,2', tcp, { meters }), 'meter(17),2');
  assert.equal(reasonOf('actions=meter:5,2', tcp, { meters }), DROP_NO_SUCH_METER);
  assert.equal(
    actionsOf('actions=controller(max_len=9,meter_id=4),2', tcp, { meters }),
    'clone(meter(17),controller(1)),2',
  );
  assert.equal(
    actionsOf('actions=sample(probability=32768,collector_set_id=1),2', tcp),
    'sample(sample=50.0%,actions(controller(1))),2',
  );
  assert.equal(actionsOf('actions=output(port=2,max_len=64),3', tcp), 'trunc(64),2,3');
});

test('labels are pushed, changed and popped as the outputs need it', () => {
  assert.equal(
    show('ip,actions=push_mpls:0x8847,set_mpls_label:7,2', tcp),
    'in_port(1),eth_type(0x0800),ipv4(tos=0,ttl=64,frag=no), ' +
      'actions:push_mpls(label=7,tc=0,ttl=64,bos=1,eth_type=0x8847),2',
  );
  assert.equal(
    actionsOf('ip,actions=push_mpls:0x8847,2,pop_mpls:0x0800,mod_nw_src:1.2.3.4,3', tcp),
    'push_mpls(label=0,tc=0,ttl=64,bos=1,eth_type=0x8847),2,pop_mpls(eth_type=0x800),set(ipv4(src=1.2.3.4)),3',
  );
  assert.equal(
    show('mpls,actions=set_mpls_label:6,2', labelled),
    'in_port(1),eth_type(0x8847), actions:set(mpls(label=6)),2',
  );
});

test('what a popped label hid is looked at in another round, with registers, stack and action set kept', () => {
  const flows = `mpls,actions=load:1->NXM_NX_REG0[],push:NXM_NX_REG0[],pop_mpls:0x0800,3,resubmit(,1),pop:NXM_NX_REG1[],resubmit(,2),write_actions(output:3)
    table=1,tcp,reg0=1,actions=2
    table=2,reg1=1,actions=IN_PORT`;
  const context = world(flows);
  const first = translate(keyOf(labelled), context);
  assert.equal(
    formatMegaflow(keyOf(labelled), first.mask, first.program, new Map()),
    'in_port(1),eth_type(0x8847),mpls(bos=1), actions:pop_mpls(eth_type=0x800),3,recirc(0x1)',
  );
  const key = keyOf(tcp);
  new DataView(key.buffer).setUint16(Key.recirculation, 1, true);
  const second = translate(key, context);
  assert.equal(
    formatMegaflow(key, second.mask, second.program, new Map()),
    'recirc_id(0x1),in_port(1),eth_type(0x0800),ipv4(proto=6,frag=no), actions:2,1,3',
  );
  assert.deepEqual(translate(keyOf(labelled), context).program, first.program, 'equal states, equal numbers');
  new DataView(key.buffer).setUint16(Key.recirculation, 9, true);
  assert.equal(translate(key, context).program[1], DROP_RECIRCULATION_LOST);
  assert.equal(
    reasonOf('mpls,actions=pop_mpls:0x0800,resubmit(,1)', labelled, { freeze: () => undefined }),
    DROP_STATE_FULL,
  );
});

test('a learn action yields the flow to add, and says whether there is room', () => {
  const learn =
    'learn(table=1,priority=7,cookie=3,limit=1,result_dst=NXM_NX_REG0[0],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:5->NXM_NX_REG1[],output:NXM_OF_IN_PORT[])';
  const flows = `actions=${learn},resubmit(,2)\ntable=2,reg0=1,actions=2\ntable=2,reg0=0,actions=3`;
  const context = world(flows);
  const { learned, mask, program } = translate(keyOf(tcp), context);
  assert.deepEqual(
    learned.map(({ flow }) => printFlow(flow)),
    ['cookie=0x3, table=1, priority=7,dl_dst=02:00:00:00:00:0a actions=load:0x5->NXM_NX_REG1[],output:1'],
  );
  assert.equal(
    formatMegaflow(keyOf(tcp), mask, program, new Map()),
    'in_port(1),eth(src=02:00:00:00:00:0a),eth_type(0x0800),ipv4(frag=no), actions:2',
  );
  const { generation } = context.tables;
  context.tables.learn(learned[0]!.flow, 0, 0);
  context.tables.learn(learned[0]!.flow, 0, 0);
  assert.equal(context.tables.generation, generation + 1, 'old news is no news');
  assert.equal(translate(keyOf(tcp), context).learned.length, 1, 'the rule that is there is no further one');
  const other = keyOf(tcp.replace('00:0a', '00:0c'));
  const full = translate(other, context);
  assert.equal(full.learned.length, 0);
  assert.equal(full.program[1], 3);
});

test('a conjunction is met when each of its clauses is', () => {
  const flows = `priority=5,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2)
    priority=5,ip,nw_src=10.0.0.3,actions=conjunction(7,1/2)
    priority=5,tcp,tp_dst=80,actions=conjunction(7,2/2)
    priority=5,conj_id=7,ip,actions=2
    priority=1,actions=3`;
  assert.equal(
    show(flows, tcp),
    'in_port(1),eth_type(0x0800),ipv4(src=10.0.0.1,proto=6,frag=no),tcp(dst=80), actions:2',
  );
  assert.equal(actionsOf(flows, tcp.replace('tp_dst=80', 'tp_dst=81')), '3');
  assert.equal(actionsOf(flows, tcp.replace('10.0.0.1', '10.0.0.2')), '3');
});
