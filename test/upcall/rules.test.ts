/** What happens to flows, groups and meters while packets pass. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ACK, ethernet, FIN, ipv4, tcp, udp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const PACKET = ethernet({}, ipv4({}, udp({})));

test('a flow that is not used goes after its idle time-out', () => {
  const small = new SmallSwitch('idle_timeout=10,in_port=1,actions=2');
  assert.deepEqual(small.send(1, PACKET), [2]);
  small.advance(9);
  assert.deepEqual(small.send(1, PACKET), [2]);
  small.advance(9.5);
  assert.deepEqual(small.flows(), ['n_packets=2, idle_timeout=10, in_port=p1 actions=output:p2']);
  small.advance(0.6);
  assert.deepEqual(small.flows(), []);
  assert.deepEqual(small.send(1, PACKET), []);
});

test('a flow goes after its hard time-out, however much it is used', () => {
  const small = new SmallSwitch('hard_timeout=3,in_port=1,actions=2');
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(small.send(1, PACKET), [2]);
    small.advance(1);
  }
  assert.deepEqual(small.send(1, PACKET), []);
});

test('after a change no packet goes by what was before', () => {
  const small = new SmallSwitch('in_port=1,actions=2\nin_port=2,actions=1');
  assert.deepEqual([small.send(1, PACKET), small.send(2, PACKET)], [[2], [1]]);
  assert.deepEqual(small.ask('flows', 'bundle', 'flow delete in_port=2\nflow modify actions=3'), [
    '1 flow deleted',
    '1 flow modified',
  ]);
  assert.deepEqual([small.send(1, PACKET), small.send(2, PACKET)], [[3], []]);
});

test('a bundle that fails changes nothing, and says which line is to blame', () => {
  const small = new SmallSwitch('in_port=1,actions=2');
  assert.deepEqual(small.send(1, PACKET), [2]);
  const before = small.ask('flows', 'snapshot');
  const bundle =
    'flow delete\ngroup add group_id=1,type=all,bucket=output:3\nactions=group:1\nactions=group:2';
  assert.throws(() => small.ask('flows', 'bundle', bundle), {
    name: 'FlowError',
    message: 'line 4, column 1: group 2, which is not there; expected one that is',
  });
  assert.deepEqual(small.ask('flows', 'snapshot'), before);
  assert.deepEqual(small.flows(), ['n_packets=1, in_port=p1 actions=output:p2']);
  assert.deepEqual(small.send(1, PACKET), [2]);
});

test('flows, groups and meters that belong together come and go together', () => {
  const small = new SmallSwitch('');
  small.ask(
    'flows',
    'bundle',
    `meter add meter=5,kbps,bands=type=drop,rate=1000
     group add group_id=1,type=all,bucket=output:2,bucket=output:3
     in_port=1,actions=meter:5,group:1`,
  );
  assert.deepEqual(small.send(1, PACKET), [2, 3]);
  assert.throws(() => small.ask('groups', 'add', 'group_id=1,type=all'), /group 1, which is there/);
  assert.throws(() => small.ask('flows', 'add', 'actions=meter:6'), /meter 6, which is not there/);
  assert.deepEqual(small.ask('meters', 'delete', 'meter=5'), ['1 meter deleted']);
  assert.deepEqual([small.flows(), small.send(1, PACKET)], [[], []]);
  assert.deepEqual(small.ask('groups', 'dump'), [
    'group_id=1,type=all,bucket=bucket_id:0,actions=output:p2,bucket=bucket_id:1,actions=output:p3',
  ]);
});

test('groups and meters say what they have counted', () => {
  const small = new SmallSwitch(
    `meter add meter=5,pktps,bands=type=drop,rate=1
     group add group_id=1,type=all,bucket=output:2,bucket=output:3
     group add group_id=2,type=all,bucket=group:1
     in_port=1,actions=meter:5,group:2`,
  );
  for (let i = 0; i < 3; i++) small.send(1, PACKET);
  const bytes = PACKET.length;
  assert.deepEqual(small.ask('groups', 'stats'), [
    `group_id=1,duration=0.000s,ref_count=1,packet_count=1,byte_count=${bytes},` +
      `bucket0:packet_count=1,byte_count=${bytes},bucket1:packet_count=1,byte_count=${bytes}`,
    `group_id=2,duration=0.000s,ref_count=1,packet_count=1,byte_count=${bytes},` +
      `bucket0:packet_count=1,byte_count=${bytes}`,
  ]);
  assert.deepEqual(small.ask('meters', 'stats'), [
    `meter:5 flow_count:1 packet_in_count:3 byte_in_count:${3 * bytes} duration:0.000s bands:`,
    `0: packet_count:2 byte_count:${2 * bytes}`,
  ]);
  assert.deepEqual(small.ask('meters', 'dump'), ['meter=5 pktps bands=', 'type=drop rate=1']);
  small.ask('groups', 'modify', 'group_id=1,type=all,bucket=output:2');
  small.advance(2);
  assert.deepEqual(small.send(1, PACKET), [2]);
  const [stats] = small.ask('groups', 'stats');
  assert.equal(
    stats,
    `group_id=1,duration=2.000s,ref_count=1,packet_count=2,byte_count=${2 * bytes},` +
      `bucket0:packet_count=1,byte_count=${bytes}`,
  );
});

test('a group leads neither to itself nor to nothing, and stays while another sends to it', () => {
  const small = new SmallSwitch('group add group_id=1,type=all,bucket=output:2');
  const groups = (action: 'add' | 'modify' | 'delete', text: string) => () =>
    small.ask('groups', action, text);
  assert.throws(groups('add', 'group_id=2,type=all,bucket=group:3'), /group 3, which is not there/);
  assert.throws(groups('add', 'group_id=2,type=all,bucket=group:2'), /leads to itself/);
  groups('add', 'group_id=2,type=all,bucket=group:1')();
  assert.throws(groups('modify', 'group_id=1,type=all,bucket=group:2'), /leads to itself/);
  assert.throws(groups('delete', 'group_id=1'), /which group 2 uses/);
  small.ask('flows', 'add', 'actions=group:2');
  assert.deepEqual(groups('delete', '')(), ['2 groups deleted']);
  assert.deepEqual(small.flows(), []);
});

test('fast failover goes to the first bucket whose port is up', () => {
  const small = new SmallSwitch(
    `group add group_id=1,type=ff,bucket=watch_port:2,actions=2,bucket=watch_port:3,actions=3
     in_port=1,actions=group:1`,
  );
  assert.deepEqual(small.send(1, PACKET), [2]);
  small.request({ command: 'ports', ports: small.ports(2) });
  assert.deepEqual(small.send(1, PACKET), [3]);
  small.request({ command: 'ports', ports: small.ports(2, 3) });
  assert.deepEqual(small.send(1, PACKET), []);
  small.request({ command: 'ports', ports: small.ports() });
  assert.deepEqual(small.send(1, PACKET), [2]);
});

test('a learned flow lives while what taught it is used', () => {
  const small = new SmallSwitch(
    `in_port=1,ip,actions=learn(table=1,idle_timeout=5,hard_timeout=7,eth_type=0x800,NXM_OF_IP_DST[]=NXM_OF_IP_SRC[],output:NXM_OF_IN_PORT[]),2
     in_port=2,actions=resubmit(,1)`,
  );
  const reply = ethernet({}, ipv4({ src: '10.0.0.2', dst: '10.0.0.1' }, udp({})));
  for (let i = 0; i < 8; i++) {
    small.send(1, PACKET);
    small.advance(4);
  }
  assert.deepEqual(small.send(2, reply), [1]);
  small.advance(3.5);
  assert.deepEqual(small.send(2, reply), []);
});

test('a full table makes room or refuses', () => {
  const small = new SmallSwitch('', {
    rules: 5,
    tables: { 0: { rules: 2, overflow: 'evict' }, 1: { rules: 1, overflow: 'refuse' } },
  });
  small.ask('flows', 'add', 'in_port=1,importance=3,hard_timeout=50,actions=2');
  small.ask('flows', 'add', 'in_port=2,importance=2,hard_timeout=90,actions=2');
  small.ask('flows', 'add', 'in_port=3,actions=2');
  const ports = () => small.flows().map((line) => /in_port=(\w+)/.exec(line)?.[1]);
  assert.deepEqual(ports(), ['p1', 'p3']);
  small.ask('flows', 'add', 'in_port=2,actions=2');
  assert.deepEqual(ports(), ['p3', 'p2']);
  assert.throws(
    () => small.ask('flows', 'add', 'in_port=1,actions=2'),
    /3 flows in table 0; expected at most 2/,
  );
  small.ask('flows', 'add', 'table=1,actions=2');
  assert.throws(() => small.ask('flows', 'add', 'table=1,arp,actions=2'), /at most 1/);
  small.ask('flows', 'add', 'table=2,actions=2\ntable=3,actions=2');
  assert.throws(() => small.ask('flows', 'add', 'table=4,actions=2'), /6 flows; expected at most 5/);
});

test('a flow that must not overlap is refused beside one that some packet matches as well', () => {
  const small = new SmallSwitch('priority=5,tcp,actions=2');
  const add = (text: string) => () => small.ask('flows', 'add', `check_overlap,${text}`);
  assert.throws(add('priority=5,in_port=1,actions=1'), /overlaps "priority=5,tcp actions=output:2"/);
  add('priority=5,udp,actions=1')();
  add('priority=6,in_port=1,actions=1')();
  add('priority=5,tcp,actions=1')();
});

test('replace leaves what is in both as it is', () => {
  const small = new SmallSwitch('in_port=1,actions=2\nin_port=2,actions=1\nin_port=3,actions=1');
  for (const port of [1, 2, 3]) small.send(port, PACKET);
  assert.deepEqual(small.ask('flows', 'replace', 'in_port=1,actions=2\nin_port=2,actions=3\narp,actions=1'), [
    '1 flow deleted',
    '2 flows added',
  ]);
  assert.deepEqual(small.flows(), [
    'n_packets=1, in_port=p1 actions=output:p2',
    'n_packets=0, in_port=p2 actions=output:p3',
    'n_packets=0, arp actions=output:p1',
  ]);
});

test('a snapshot makes everything again', () => {
  const small = new SmallSwitch(
    `meter add meter=5,kbps,burst,bands=type=drop,rate=1000,burst_size=10,type=dscp_remark,rate=500,burst_size=9,prec_level=1
     group add group_id=9,type=select,bucket=weight:2,actions=2,bucket=output:3
     group add group_id=1,type=all,bucket=group:9
     hard_timeout=10,in_port=1,actions=meter:5,group:1
     table=1,cookie=7,idle_timeout=8,send_flow_rem,importance=4,actions=drop`,
  );
  small.advance(2.5);
  const snapshot = small.ask('flows', 'snapshot');
  assert.match(snapshot.join('\n'), /^hard_timeout=8, in_port=p1 /m);
  assert.deepEqual(new SmallSwitch(snapshot.join('\n')).ask('flows', 'snapshot'), snapshot);
});

test('a flow with fin_timeout goes soon after its connection has ended', () => {
  const learn =
    'learn(table=1,idle_timeout=60,fin_idle_timeout=5,eth_type=0x800,nw_proto=6,output:NXM_OF_IN_PORT[])';
  const small = new SmallSwitch(`in_port=1,tcp,actions=${learn}\nin_port=2,actions=resubmit(,1)`);
  const segment = (flags: number) => ethernet({}, ipv4({}, tcp({ flags })));
  small.send(1, segment(ACK));
  assert.deepEqual(small.send(2, segment(ACK)), [1]);
  small.advance(40);
  assert.deepEqual(small.send(2, segment(ACK | FIN)), [1]);
  small.advance(4);
  assert.match(small.flows().at(-1)!, /idle_timeout=5, tcp actions=fin_timeout\(idle_timeout=5\),output:p1$/);
  small.advance(2);
  assert.equal(small.flows().length, 2);
});

test('a packet for a controller reaches whoever watches, and is dropped while nobody does', () => {
  const small = new SmallSwitch(
    'table=0,cookie=7,in_port=1,actions=controller(max_len=20,reason=no_match,id=3),2',
  );
  const dropped = () => small.rig.observer.totals().copiesDropped;
  assert.deepEqual(small.send(1, PACKET), [2]);
  assert.deepEqual(dropped(), { controller_queue_full: 1 });
  assert.deepEqual(small.watch(), { events: [], lost: 0 });
  assert.deepEqual(small.send(1, PACKET), [2]);
  const { events, lost } = small.watch();
  const [event] = events;
  assert.equal(events.length + lost, 1);
  assert.ok(event?.kind === 'packetIn');
  const { reason, table, cookie, port, controller, length, bytes, packet } = event;
  assert.deepEqual(
    { reason, table, cookie, port, controller, length },
    { reason: 'no_match', table: 0, cookie: '0x7', port: 'p1', controller: 3, length: PACKET.length },
  );
  assert.equal(bytes, Buffer.from(PACKET.subarray(0, 20)).toString('hex'));
  assert.match(packet, /^in_port\(p1\),.*eth_type\(0x0800\)|^in_port/);
  assert.deepEqual(dropped(), { controller_queue_full: 1 });
  small.rig.checkFates();
});

test('a packet that a flow drops is dropped by it, whoever is shown it on the way', () => {
  const small = new SmallSwitch('in_port=1,actions=controller,resubmit(,1)\ntable=1,actions=drop');
  small.send(1, PACKET);
  assert.deepEqual(small.rig.observer.totals().dropped, { flow: 1 });
  small.watch();
  small.send(1, PACKET);
  assert.equal(small.watch().events.length, 1);
  const { dropped, copiesDropped, copiesForwarded } = small.rig.checkFates();
  assert.deepEqual(dropped, { flow: 2 });
  assert.deepEqual([copiesDropped, copiesForwarded], [{ controller_queue_full: 1 }, 1]);
});

test('what a monitor has no room for is lost to it, and counted', () => {
  const small = new SmallSwitch('in_port=1,actions=controller');
  small.watch();
  for (let i = 0; i < 4100; i++) small.send(1, PACKET);
  const { events, lost } = small.watch();
  assert.deepEqual([events.length, lost], [4096, 4]);
  assert.deepEqual(small.rig.observer.totals().dropped, { controller_queue_full: 4 });
  small.request({ command: 'unwatch', monitor: 1 });
  small.send(1, PACKET);
  assert.deepEqual(small.watch(), { events: [], lost: 0 });
});

test('whoever watches is told of flows that go, why, and what they had counted', () => {
  const small = new SmallSwitch(
    `group add group_id=1,type=indirect,bucket=output:2
     meter add meter=1,pktps,bands=type=drop,rate=1000
     send_flow_rem,idle_timeout=2,in_port=1,actions=2
     send_flow_rem,hard_timeout=2,in_port=2,actions=1
     send_flow_rem,in_port=3,actions=group:1
     send_flow_rem,arp,actions=meter:1
     send_flow_rem,ipv6,actions=1
     hard_timeout=1,udp6,actions=1`,
  );
  small.watch();
  small.advance(1);
  for (const port of [1, 2, 3]) small.send(port, PACKET);
  small.advance(4);
  small.send(3, PACKET);
  small.ask('groups', 'delete');
  small.ask('meters', 'delete');
  small.ask('flows', 'delete', 'ipv6');
  const seen = small.watch().events.map((event) => {
    assert.ok(event.kind === 'flowRemoved');
    return [
      event.reason,
      Math.round(event.durationSeconds),
      event.packets,
      event.flow.replace(/ actions.*/, ''),
    ];
  });
  assert.deepEqual(seen, [
    ['hard', 2, 1, 'hard_timeout=2, send_flow_rem in_port=p2'],
    ['idle', 3, 1, 'idle_timeout=2, send_flow_rem in_port=p1'],
    ['group', 5, 2, 'send_flow_rem in_port=p3'],
    ['meter', 5, 0, 'send_flow_rem arp'],
    ['delete', 5, 0, 'send_flow_rem ipv6'],
  ]);
});

test('what was learned goes with what taught it, where that is asked for', () => {
  const learn =
    'learn(table=1,cookie=9,delete_learned,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])';
  const small = new SmallSwitch(
    `in_port=1,actions=${learn}\nin_port=2,actions=${learn}\ntable=1,arp,actions=drop`,
  );
  small.send(1, PACKET);
  small.ask('flows', 'delete', 'in_port=1');
  assert.equal(small.flows().length, 3);
  small.ask('flows', 'delete', 'in_port=2');
  assert.deepEqual(small.flows(), ['table=1, n_packets=0, arp actions=drop']);
});

test('tables say what was looked up in them, and what hit a rule, also one that went', () => {
  const small = new SmallSwitch('in_port=1,actions=resubmit(,3)\nin_port=2,actions=3\ntable=3,udp,actions=2');
  const tables = () => small.request({ command: 'tables' });
  assert.deepEqual(tables(), [
    { table: 0, rules: 2, lookups: 0, matched: 0 },
    { table: 3, rules: 1, lookups: 0, matched: 0 },
  ]);
  const other = ethernet({}, ipv4({}, tcp({ flags: ACK })));
  for (let i = 0; i < 3; i++) small.send(1, PACKET);
  for (let i = 0; i < 2; i++) small.send(1, other);
  small.send(3, other);
  small.ask('flows', 'delete', 'table=3');
  assert.deepEqual(tables(), [
    { table: 0, rules: 2, lookups: 6, matched: 5 },
    { table: 3, rules: 0, lookups: 5, matched: 3 },
  ]);
});
