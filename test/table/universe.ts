/** Tables and packets drawn from a universe so small that they meet. */
import type { Group } from '../../src/table/group.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { Tables } from '../../src/table/tables.ts';
import {
  arp,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  labelEntry,
  mpls,
  type Network,
  neighbour,
  sctp,
  tcp,
  udp,
} from '../support/packets.ts';
import { chance, pick, type Random } from '../support/seeded.ts';
import { contextOf, type Given, type TestContext } from './context.ts';
import { parseFlow } from './flow.ts';

const MACS = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:01:0b'];
const V4 = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.128.0.1'];
const V6 = ['fe80::1', 'fe80::2', 'fd00::1'];
const PORTS = [80, 81, 53];
const TTLS = [1, 2, 64];

const transport = (random: Random, v6: boolean) => {
  const ports = { src: pick(random, PORTS), dst: pick(random, PORTS) };
  const payload = Uint8Array.of(1, 2, 3);
  switch (random.below(4)) {
    case 0:
      return tcp({ ...ports, flags: pick(random, [2, 16, 18]) }, payload);
    case 1:
      return udp(ports, payload);
    case 2:
      return sctp(ports, payload);
    default:
      return v6
        ? neighbour(pick(random, [135, 136]), pick(random, V6))
        : icmp({ type: pick(random, [0, 8]) });
  }
};

const ip = (random: Random): Network => {
  const v6 = chance(random, 0.3);
  const addresses = (of: readonly string[]) => ({ src: pick(random, of), dst: pick(random, of) });
  const tos = pick(random, [0, 16, 17]);
  if (v6)
    return ipv6(
      { ...addresses(V6), trafficClass: tos, hopLimit: pick(random, TTLS) },
      transport(random, true),
    );
  const fragment = chance(random, 0.15) ? pick(random, [0x2000, 0x2001]) : 0;
  return ipv4({ ...addresses(V4), tos, ttl: pick(random, TTLS), fragment }, transport(random, false));
};

function network(random: Random): Network {
  switch (random.below(8)) {
    case 0:
      return arp({ operation: pick(random, [1, 2]), spa: pick(random, V4), tpa: pick(random, V4) });
    case 1:
    case 2: {
      const depth = pick(random, [1, 1, 2, 3, 4]);
      const entries = Array.from({ length: depth }, (_, i) =>
        labelEntry(pick(random, [5, 6]), i === depth - 1, random.below(2), pick(random, TTLS)),
      );
      return mpls(entries, ip(random).bytes);
    }
    case 3:
      return { type: 0x88cc, bytes: new Uint8Array(20) };
    default:
      return ip(random);
  }
}

/** A packet off the wire. */
export function universePacket(random: Random): Uint8Array {
  const tags = pick(random, [0, 0, 1, 2]);
  const tci = () => pick(random, [5, 6, 0x6005]);
  const fields = {
    src: pick(random, MACS),
    dst: pick(random, [...MACS, 'ff:ff:ff:ff:ff:ff', '01:80:c2:00:00:02']),
    vlan: tags > 0 ? tci() : undefined,
    innerVlan: tags > 1 ? tci() : undefined,
  };
  return ethernet(fields, network(random));
}

/** Conditions and actions that need no protocol. */
const CONDITIONS = [
  'in_port=1',
  'in_port=2',
  `dl_src=${MACS[0]}`,
  `dl_dst=${MACS[1]}`,
  'dl_dst=01:00:00:00:00:00/01:00:00:00:00:00',
  'dl_vlan=5',
  'vlan_tci=0x0/0x1000',
  'vlan_tci=0x1000/0x1000',
  'reg0=0',
  'reg0=1',
  'reg1=5',
  'reg1=0x10/0xf0',
  'metadata=1',
  'metadata=0/2',
];
const ACTIONS = [
  ...['output:1', 'output:2', 'output:3', 'output:9', 'IN_PORT', 'FLOOD', 'NORMAL', 'NORMAL'],
  ...[
    'resubmit(,1)',
    'resubmit(,2)',
    'resubmit(,3)',
    'resubmit(3,1)',
    'resubmit(2,)',
    'set_field:3->in_port',
  ],
  ...['output:NXM_NX_REG1[]', 'output(port=2,max_len=20)', 'output(port=3,max_len=9000)'],
  ...['controller', 'controller(max_len=40,id=7)', 'sample(probability=65535,collector_set_id=3)'],
  ...[`mod_dl_src:${MACS[0]}`, `mod_dl_dst:${MACS[2]}`, `set_field:${MACS[1]}/00:00:00:00:ff:ff->eth_dst`],
  ...[
    'push_vlan:0x8100',
    'push_vlan:0x88a8',
    'strip_vlan',
    'strip_vlan,strip_vlan',
    'mod_vlan_vid:6',
    'mod_vlan_pcp:3',
  ],
  ...['set_field:0x1005->vlan_tci', 'set_field:0->vlan_tci', 'push_vlan:0x8100,mod_vlan_vid:6,resubmit(,2)'],
  ...[
    'load:1->NXM_NX_REG0[]',
    'load:5->NXM_NX_REG1[0..3]',
    'load:1->NXM_NX_REG1[4]',
    'load:1->OXM_OF_METADATA[0]',
  ],
  ...['move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG1[0..15]', 'move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG1[0..11]'],
  ...['move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]', 'move:NXM_OF_IN_PORT[]->NXM_NX_REG1[0..15]'],
  ...['move:NXM_NX_REG1[0..15]->NXM_OF_VLAN_TCI[]', 'move:NXM_NX_REG1[]->NXM_NX_REG0[]'],
  ...['push:NXM_OF_ETH_DST[]', 'pop:NXM_OF_ETH_SRC[]', 'push:NXM_NX_REG1[]', 'pop:NXM_NX_REG1[]'],
  ...['group:1', 'group:2', 'group:3', 'group:4', 'group:5', 'group:9'],
  ...[
    'clone(2)',
    `clone(mod_dl_src:${MACS[1]},resubmit(,3)),3`,
    'clone(push_vlan:0x8100,3)',
    'clone(exit),2',
    'exit',
  ],
  ...[
    'push_mpls:0x8847',
    'push_mpls:0x8847,output:2',
    'pop_mpls:0x0800',
    'pop_mpls:0x86dd',
    'pop_mpls:0x8847',
  ],
  ...[
    'pop_mpls:0x0800,resubmit(,1)',
    'pop_mpls:0x0800,resubmit(,2),3',
    'push_mpls:0x8847,resubmit(,2),pop_mpls:0x0800',
  ],
  ...['dec_mpls_ttl', 'set_mpls_label:9', 'set_mpls_ttl:1', 'note:01', 'meter:1', 'meter:9'],
  'learn(table=3,priority=2,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])',
  'learn(table=2,priority=3,cookie=7,limit=1,NXM_OF_VLAN_TCI[0..11],load:1->NXM_NX_REG0[],output:NXM_OF_IN_PORT[])',
];
const INSTRUCTIONS = [
  'clear_actions',
  'write_actions(output:2)',
  `write_actions(output:3,mod_dl_src:${MACS[2]},push_vlan:0x8100)`,
  'write_actions(group:2,output:1)',
  'write_metadata:1',
  'write_metadata:0x2/0x2',
];

interface Protocol {
  readonly name: string;
  readonly conditions: readonly string[];
  readonly actions: readonly string[];
}

const IP_ACTIONS = [
  'dec_ttl',
  'dec_ttl(3,4)',
  'mod_nw_tos:16',
  'mod_nw_ttl:9',
  'move:NXM_NX_IP_TTL[]->NXM_NX_REG1[0..7]',
  'ct(commit,zone=NXM_NX_REG1[0..15])',
  'ct(table=2)',
  'ct(commit,exec(move:NXM_NX_REG1[]->NXM_NX_CT_MARK[]),table=3),3',
  'ct_clear',
];
const V4_CONDITIONS = [
  'nw_src=10.0.0.1',
  'nw_dst=10.0.0.0/24',
  'nw_dst=10.0.1.1',
  'nw_src=10.0.0.0/9',
  'nw_tos=16',
  'nw_ttl=64',
  'nw_frag=no',
];
const V4_ACTIONS = [
  'mod_nw_src:10.0.0.2',
  'mod_nw_dst:10.0.1.1',
  'move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]',
  'move:NXM_OF_IP_DST[]->NXM_NX_REG1[]',
];
const PROTOCOLS: readonly Protocol[] = [
  { name: 'ip', conditions: V4_CONDITIONS, actions: [...IP_ACTIONS, ...V4_ACTIONS] },
  {
    name: 'tcp',
    conditions: [...V4_CONDITIONS, 'tp_src=80', 'tp_dst=80', 'tp_dst=0x50/0xfffe', 'tcp_flags=+syn-ack'],
    actions: [
      ...IP_ACTIONS,
      ...V4_ACTIONS,
      'mod_tp_dst:53',
      'move:NXM_OF_TCP_SRC[]->NXM_OF_TCP_DST[]',
      'push:NXM_OF_TCP_SRC[]',
    ],
  },
  { name: 'udp', conditions: [...V4_CONDITIONS, 'tp_dst=53'], actions: [...IP_ACTIONS, 'mod_tp_src:81'] },
  { name: 'sctp', conditions: ['tp_dst=53'], actions: ['mod_tp_dst:81', ...V4_ACTIONS] },
  {
    name: 'icmp',
    conditions: ['icmp_type=8', 'nw_src=10.0.0.1'],
    actions: ['set_field:0->icmp_type', ...IP_ACTIONS],
  },
  {
    name: 'ipv6',
    conditions: ['ipv6_src=fe80::1', 'ipv6_dst=fe80::/16', 'ipv6_dst=::1/::ffff'],
    actions: [...IP_ACTIONS, 'set_field:fe80::2->ipv6_dst', 'move:NXM_NX_IPV6_SRC[0..31]->NXM_NX_REG1[]'],
  },
  {
    name: 'icmp6,icmp_type=135,icmp_code=0',
    conditions: ['nd_target=fe80::1'],
    actions: ['set_field:fe80::2->nd_target'],
  },
  {
    name: 'arp',
    conditions: ['arp_op=1', 'arp_spa=10.0.0.1', 'arp_tpa=10.0.0.0/24'],
    actions: [
      'set_field:2->arp_op',
      'set_field:10.0.0.2->arp_spa',
      'move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]',
      `set_field:${MACS[0]}->arp_tha`,
    ],
  },
  {
    name: 'mpls',
    conditions: ['mpls_label=5', 'mpls_bos=1', 'mpls_ttl=64', 'mpls_tc=1'],
    actions: [
      'dec_mpls_ttl',
      'set_mpls_label:9',
      'set_mpls_tc:1',
      'pop_mpls:0x0800,resubmit(,1)',
      'pop_mpls:0x8847,resubmit(,2)',
      'move:OXM_OF_MPLS_LABEL[]->NXM_NX_REG1[0..19]',
    ],
  },
];

const some = (random: Random, from: readonly string[], most: number): string[] =>
  from.length === 0 ? [] : Array.from({ length: random.below(most + 1) }, () => pick(random, from));

function line(random: Random): string {
  const protocol = chance(random, 0.6) ? pick(random, PROTOCOLS) : undefined;
  const table = random.below(4);
  const conditions = [...some(random, CONDITIONS, 2), ...some(random, protocol?.conditions ?? [], 2)];
  const head = [
    `table=${table}`,
    `priority=${random.below(4)}`,
    ...(protocol ? [protocol.name] : []),
    ...new Set(conditions),
  ];
  if (chance(random, 0.1)) {
    return `${head.join()},actions=conjunction(${1 + random.below(2)},${1 + random.below(2)}/2)`;
  }
  if (chance(random, 0.07)) head.push(`conj_id=${1 + random.below(2)}`);
  const actions = [...some(random, ACTIONS, 4), ...some(random, protocol?.actions ?? [], 2)];
  actions.sort(() => random.below(3) - 1);
  if (chance(random, 0.2)) actions.push(pick(random, INSTRUCTIONS));
  if (table < 3 && chance(random, 0.3)) actions.push(`goto_table:${table + 1}`);
  return `${head.join()},actions=${actions.join() || 'drop'}`;
}

/** A line of flow syntax that is right. */
export function universeFlow(random: Random): string {
  for (;;) {
    const text = line(random);
    try {
      parseFlows(text);
      return text;
    } catch {
      // Such as two values for one field, or a field that an action has taken away.
    }
  }
}

const actionsOf = (text: string) => parseFlow(`actions=${text}`).actions;

/** Groups 1 to 5, one of each kind; group 2 watches port 2. */
export function universeGroups(random: Random): Map<number, Group> {
  const bucket = (id: number, rest = {}) => ({
    id,
    weight: random.below(4),
    actions: actionsOf(
      [
        ...some(
          random,
          [
            `mod_dl_dst:${MACS[0]}`,
            'push_vlan:0x8100',
            'strip_vlan',
            'dec_mpls_ttl',
            'load:1->NXM_NX_REG0[]',
            'pop_mpls:0x0800',
          ],
          2,
        ),
        pick(random, [
          'output:1',
          'output:2',
          'output:3',
          'output:9',
          'resubmit(,3)',
          'group:4',
          'controller',
          'FLOOD',
        ]),
      ].join(),
    ),
    ...rest,
  });
  const groups: Group[] = [
    { id: 1, type: 'all', buckets: [bucket(1), bucket(2)] },
    {
      id: 2,
      type: 'fastFailover',
      buckets: [bucket(1, { watchPort: 2 }), bucket(2, { watchGroup: 3 }), bucket(3, { watchPort: 1 })],
    },
    { id: 3, type: 'select', buckets: [bucket(1, { watchPort: 2 }), bucket(2), bucket(7)] },
    {
      id: 4,
      type: 'indirect',
      buckets: [{ id: 1, weight: 1, actions: actionsOf('mod_dl_src:02:00:00:00:00:ff,output:3') }],
    },
    {
      id: 5,
      type: 'select',
      selection: { method: 'hash', param: 3n, fields: [] },
      buckets: [bucket(1), bucket(2)],
    },
  ];
  return new Map(groups.map((group) => [group.id, group]));
}

/** What a translation is given with some flows of the universe, its groups and a meter; and the flows, one a line. */
export function universeTables(
  random: Random,
  macs: Given['macs'] & {},
  ports: Given['ports'] & {},
): { context: TestContext; lines: string[] } {
  const tables = new Tables();
  const context = contextOf({
    tables,
    groups: universeGroups(random),
    meters: new Map([[1, 0]]),
    macs,
    ports,
  });
  const lines = Array.from({ length: 8 + random.below(30) }, () => universeFlow(random));
  tables.add(parseFlows(lines.join('\n')), 0);
  return { context, lines };
}
