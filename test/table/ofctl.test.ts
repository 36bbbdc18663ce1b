/** Flows are printed as the real `ovs-ofctl` prints them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import test from 'node:test';
import fc from 'fast-check';
import { FLAG_NAMES, type Flow } from '../../src/table/parse.ts';
import { printMatch } from '../../src/table/print.ts';
import { printActions } from '../../src/table/print-actions.ts';
import { seeded, word } from '../support/seeded.ts';
import { parseFlow } from './flow.ts';
import { earlyFlow, lateFlow } from './language.ts';
import { flowText } from './packets.ts';

const installed = spawnSync('ovs-ofctl', ['--version']).status === 0;
const skip = installed ? false : 'ovs-ofctl is not installed';

/** What `ovs-ofctl` makes of flows: for each, what stands between `ADD` and the end of its line. */
function ofctl(version: string, flows: readonly string[]): string[] {
  const input = `${flows.join('\n')}\n`;
  const stdio = ['pipe', 'pipe', 'pipe'] as const;
  const output = execFileSync('ovs-ofctl', ['-O', version, 'parse-flows', '-'], { input, stdio: [...stdio] });
  return [...output.toString().matchAll(/: ADD (.*)$/gm)].map(([, text]) => text!);
}

function print(flow: Flow): string {
  const { table, priority, cookie, match, actions, idleTimeoutS, hardTimeoutS, importance, flags } = flow;
  const conditions = [priority === 32768 ? '' : `priority=${priority}`, printMatch(match)].filter(
    (text) => text,
  );
  const parts = [
    table === 0 ? '' : `table:${table}`,
    conditions.join(','),
    cookie === 0n ? '' : `cookie:0x${cookie.toString(16)}`,
    idleTimeoutS === 0 ? '' : `idle:${idleTimeoutS}`,
    hardTimeoutS === 0 ? '' : `hard:${hardTimeoutS}`,
    importance === 0 ? '' : `importance:${importance}`,
    ...FLAG_NAMES.map(([name, key]) => (flags[key] ? name : '')),
    `actions=${printActions(actions)}`,
  ];
  return parts.filter((text) => text).join(' ');
}

function agree(version: string, texts: readonly string[]): void {
  // Without a table ovs-ofctl leaves the choice to the switch, and may or may not print that.
  const flows = texts.map((text) => (/table=.*actions=/.test(text) ? text : `table=0,${text}`));
  const theirs = ofctl(version, flows);
  assert.equal(theirs.length, flows.length);
  for (const [i, flow] of flows.entries()) assert.equal(print(parseFlow(flow)), theirs[i], flow);
}

test('matches of every field agree with ovs-ofctl', { skip }, () => {
  agree(
    'OpenFlow10',
    `table=3,cookie=0x5,priority=0
     priority=32768
     priority=5 in_port=1 dl_src=00:11:22:33:44:55
     ip,nw_src=10.1.2.3/8,nw_dst=1.2.3.4/255.0.255.0
     dl_dst=01:00:00:00:00:00/01:00:00:00:00:00
     tcp,tp_dst=0x55/0xf0,tp_src=80
     tcp,tp_dst=0/0
     udp,udp_dst=53
     tcp6,tcp_src=53
     udp6,tp_dst=53
     sctp,sctp_src=53
     icmp,icmp_type=8,icmp_code=0
     icmp6,icmpv6_type=135
     icmp6,icmp_type=135,icmp_code=0
     ip,nw_proto=1,tp_src=3
     vlan_tci=0x1000/0x1000
     vlan_tci=0x0
     vlan_tci=0x1005
     vlan_tci=0x1123/0x1fff
     vlan_tci=0x0/0x1000
     vlan_tci=0xf000/0xf000
     vlan_tci=0x1005/0x100f
     dl_vlan=5
     dl_vlan=0xffff
     vlan_vid=0x1005/0x1fff
     vlan_vid=0x1000/0x1000
     dl_vlan=5,dl_vlan_pcp=3
     dl_vlan_pcp=3
     dl_vlan=5,vlan_pcp=3,in_port=2,ip
     dl_type=0x0800,nw_proto=6
     dl_type=0x0806
     dl_type=0x8035
     dl_type=0x88cc,in_port=3,dl_src=00:11:22:33:44:55
     dl_type=0x86dd,nw_proto=58
     dl_type=0x86dd,nw_proto=1
     ip,nw_proto=89,nw_src=10.0.0.1
     ip,nw_tos=252,nw_ecn=1,nw_ttl=64
     ip,ip_dscp=4,ip_ecn=1
     ip,ip_frag=no
     ip,ip_frag=yes
     ip,nw_frag=first
     ip,ip_frag=later
     ip,ip_frag=not_later
     tcp,tcp_flags=2
     tcp,tcp_flags=0x2/0x12
     tcp,tcp_flags=+syn-ack
     tcp,tcp_flags=0xfff
     tcp,tcp_flags=syn|ack
     arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2/24,arp_sha=00:11:22:33:44:55,arp_tha=00:11:22:33:44:56
     arp,nw_proto=1,nw_dst=10.0.0.1
     ipv6,ipv6_src=fe80::/64,ipv6_dst=fe80::1,nw_tos=4,ip_ecn=2,nw_ttl=1
     ipv6,ipv6_src=fe80::1/ffff::ffff
     dl_src=*`
      .split('\n')
      .map((line) => `${line.trim()},actions=drop`),
  );
});

test('random matches agree with ovs-ofctl', { skip }, () => {
  const flows = fc.sample(flowText, 500).map((flow) => flow.replace(/,?actions=.*/, ',actions=drop'));
  agree('OpenFlow10', flows);
});

/** Random flows, drawn anew at each run. */
const agreeAtRandom = (version: string, flow: fc.Arbitrary<string>) =>
  seeded((random) => agree(version, fc.sample(flow, { numRuns: 600, seed: word(random) | 0 })));

test(
  'random flows of OpenFlow 1.0 and its extensions agree with ovs-ofctl',
  { skip },
  agreeAtRandom('OpenFlow10', earlyFlow),
);

test('random flows of OpenFlow 1.5 agree with ovs-ofctl', { skip }, agreeAtRandom('OpenFlow15', lateFlow));

test('actions of OpenFlow 1.0 agree with ovs-ofctl', { skip }, () => {
  agree('OpenFlow10', [
    'actions=1,output:2,in_port,IN_PORT,flood,all,NORMAL',
    'actions=mod_dl_src:00:11:22:33:44:55,mod_dl_dst:00:11:22:33:44:56,1',
    'ip,actions=mod_nw_src:1.2.3.4,mod_nw_dst:1.2.3.4,mod_nw_tos:16',
    'tcp,actions=mod_tp_src:5,mod_tp_dst:6,1',
    'ip,actions=mod_tp_dst:80',
    'actions=mod_vlan_vid:5,mod_vlan_pcp:3,strip_vlan,1',
    'actions=resubmit:1,resubmit(1,2),resubmit(,2),resubmit(1,),resubmit(in_port,2),resubmit(1)',
    'actions=',
    'actions=output:in_port',
  ]);
});

test('connections are asked for and matched as ovs-ofctl says', { skip }, () => {
  agree('OpenFlow10', [
    'ct_state=+trk-inv,ip,ct_nw_src=10.0.0.1/8,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=2/0xff,actions=1',
    'ct_state=+new,ipv6,ct_ipv6_src=::1,ct_ipv6_dst=fe80::/10,ct_nw_proto=58,actions=1',
    'ct_nw_proto=6,ct_state=0x21/0x21,actions=1',
    'ct_state=+est,ip,actions=move:NXM_NX_CT_NW_SRC[]->reg0[],move:ct_tp_src->reg1[0..15]',
    'ip,actions=ct,ct(),ct:commit,CT(table=0,zone=0)',
    'ip,actions=ct(commit,force,zone=5,table=3),ct_clear',
    'ip,actions=ct(zone=reg0[0..15],commit),ct(zone=NXM_NX_CT_ZONE[],nat,table=3),ct(zone=ct_label[0..15])',
    'tcp,actions=ct(commit,nat(src=1.2.3.4-1.2.3.9:1000-2000,random))',
    'ip,actions=ct(commit,nat(src=1.2.3.4-1.2.3.4:1000-1000,hash,persistent))',
    'ip,actions=ct(commit,nat(dst=0.0.0.0)),ct(commit,nat(src)),ct(commit,nat(dst=)),ct(nat())',
    'ipv6,actions=ct(commit,nat(src=fe80::1-fe80::9)),ct(commit,nat(src=::))',
    'udp6,actions=ct(commit,nat(dst=[fe80::1]-[fe80::9]:80-90)),ct(nat),ct(commit,nat(src=[::1]))',
    'tcp,actions=ct(alg=ftp,commit,nat,zone=3,table=2,exec(load:1->ct_mark)),ct(alg=ftp)',
    'udp6,actions=ct(commit,alg=tftp)',
    'ip,actions=ct(commit,exec(load:1->ct_label[0..3],move:reg0[]->ct_mark[])),clone(ct(commit,exec()))',
  ]);
  agree('OpenFlow15', [
    'ip,actions=ct(commit,nat(dst=1.2.3.4),exec(set_field:0x5/0xff->ct_mark,set_field:0x123456789abcdef0123->ct_label))',
    'ip,actions=write_actions(ct(commit,table=1),ct_clear)',
  ]);
});

test('actions of later OpenFlow agree with ovs-ofctl', { skip }, () => {
  agree('OpenFlow15', [
    'actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:1',
    'dl_vlan=4,actions=set_field:3->vlan_pcp',
    'actions=set_field:0x1005->vlan_tci',
    'actions=set_field:00:11:22:33:44:55->dl_src,1',
    'actions=set_field:01:00:00:00:00:00/01:00:00:00:00:00->eth_dst',
    'ip,actions=set_field:1.2.3.4->nw_src,set_field:10.0.0.0/8->ip_dst,set_field:10.0.1.0/255.0.255.0->ip_dst',
    'ipv6,actions=set_field:fe80::1->ipv6_src,set_field:ffff::/16->ipv6_dst',
    'tcp,actions=set_field:80->tcp_dst,set_field:81->tp_src',
    'udp6,actions=set_field:80->udp_dst',
    'ip,actions=set_field:4->ip_dscp,set_field:16->nw_tos,set_field:1->ip_ecn,set_field:9->nw_ttl,mod_nw_ttl:3',
    'arp,actions=set_field:2->arp_op,set_field:1.2.3.4->arp_spa,set_field:00:11:22:33:44:55->arp_sha',
    'icmp,actions=set_field:3->icmp_type,set_field:1->icmp_code',
    'icmp6,actions=set_field:3->icmpv6_type',
    'actions=set_field:3->in_port,1',
    'actions=1,goto_table:5',
  ]);
});
