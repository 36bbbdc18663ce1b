/**
 * Keys for the tests: written in flow syntax, or drawn from a universe so small that flows and packets meet.
 */
import fc from 'fast-check';
import { bytesOf } from '../../src/table/match.ts';
import { parseFlow } from './flow.ts';

/** The key of a packet described as a match, such as `in_port=1,tcp,nw_src=10.0.0.1,tp_dst=80`. */
export const keyOf = (text: string): Uint8Array =>
  bytesOf(parseFlow(`${text},actions=drop`).match.value).slice();

const [A, B, C] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:01:0b'];
export const stations = [A, B, C] as const;
const broadcast = 'ff:ff:ff:ff:ff:ff';
const v4 = ['10.0.0.1', '10.0.0.2', '10.0.1.1'];
const v6 = ['fe80::1', 'fe80::2', 'fd00::1'];

type Choices = Record<string, readonly string[]>;

const common: Choices = {
  in_port: ['1', '2', '3'],
  dl_src: [A, B, C],
  dl_dst: [A, B, C, broadcast, '01:80:c2:00:00:02'],
  vlan: ['', 'dl_vlan=5,dl_vlan_pcp=0', 'dl_vlan=5,dl_vlan_pcp=3', 'dl_vlan=6,dl_vlan_pcp=0'],
};
const ip: Choices = { nw_tos: ['0', '16'], nw_ecn: ['0', '1'], nw_ttl: ['1', '64'] };
const ports: Choices = { tp_src: ['80', '81', '53'], tp_dst: ['80', '81', '53'] };
const addresses = (prefix: string, values: string[]): Choices => ({
  [`${prefix}_src`]: values,
  [`${prefix}_dst`]: values,
});

/** What packets of each protocol vary in; the choice of protocol itself comes first in a description. */
export const protocols: readonly [string, Choices][] = [
  ['tcp,nw_frag=no', { ...ip, ...addresses('nw', v4), ...ports, tcp_flags: ['syn', 'ack', 'syn|ack'] }],
  ['udp,nw_frag=no', { ...ip, ...addresses('nw', v4), ...ports }],
  ['udp,nw_frag=later', { ...ip, ...addresses('nw', v4) }],
  ['udp,nw_frag=first', { ...ip, ...addresses('nw', v4), ...ports }],
  ['icmp,nw_frag=no', { ...ip, ...addresses('nw', v4), icmp_type: ['0', '8'], icmp_code: ['0', '1'] }],
  ['tcp6,nw_frag=no', { ...ip, ...addresses('ipv6', v6), ...ports, tcp_flags: ['syn', 'ack'] }],
  [
    'arp',
    {
      arp_op: ['1', '2'],
      arp_spa: v4,
      arp_tpa: v4,
      arp_sha: [A, B],
      arp_tha: [A, '00:00:00:00:00:00'],
    },
  ],
  ['dl_type=0x88cc', {}],
].map(([name, choices]) => [name as string, { ...common, ...(choices as Choices) }]);

const spell = (name: string, value: string): string => (name === 'vlan' ? value : `${name}=${value}`);

/** A packet of each field's values, and any number of its kin: the same protocol, fields taken anew. */
export function packetAndKin(count: number): fc.Arbitrary<{ packet: string; kin: string[] }> {
  return fc.constantFrom(...protocols).chain(([protocol, choices]) => {
    const names = Object.keys(choices);
    const pick = fc.tuple(...names.map((name) => fc.constantFrom(...choices[name]!)));
    // Few fields change at a time, or no kin would be in the packet's megaflow.
    const changes = fc.array(fc.tuple(fc.constantFrom(...names.keys()), fc.nat(4)), { maxLength: 4 });
    const write = (values: readonly string[]): string =>
      [protocol, ...values.map((value, i) => spell(names[i]!, value))]
        .filter((text) => text !== '')
        .join(',');
    return fc.tuple(pick, fc.array(changes, { minLength: count, maxLength: count })).map(([values, all]) => ({
      packet: write(values),
      kin: all.map((some) => {
        const kin = [...values];
        for (const [at, choice] of some)
          kin[at] = choices[names[at]!]![choice % choices[names[at]!]!.length]!;
        return write(kin);
      }),
    }));
  });
}

const masked: Choices = {
  nw_src: ['10.0.0.0/24', '10.0.0.0/8', '10.0.0.1/255.0.0.255'],
  nw_dst: ['10.0.0.0/24', '10.0.1.0/24'],
  ipv6_dst: ['fe80::/64', '::1/::ffff'],
  tp_dst: ['0x50/0xfffe'],
  dl_dst: ['01:00:00:00:00:00/01:00:00:00:00:00'],
  tcp_flags: ['+syn-ack', '+ack'],
  vlan: ['vlan_tci=0x1000/0x1000', 'vlan_tci=0', 'dl_vlan_pcp=3', 'vlan_tci=0x0/0x1000'],
};

const anywhere = [
  ['output:1', 'output:2', 'output:3', 'output:9', 'IN_PORT', 'FLOOD', 'NORMAL', 'NORMAL'],
  ['resubmit(,1)', 'resubmit(,2)', 'resubmit(,3)', 'resubmit(3,1)', 'resubmit:2', 'set_field:7->in_port'],
  [`mod_dl_src:${A}`, `mod_dl_dst:${C}`, `set_field:${B}/00:00:00:00:ff:ff->eth_dst`],
  ['push_vlan:0x8100', 'push_vlan:0x88a8', 'strip_vlan', 'mod_vlan_vid:6', 'mod_vlan_pcp:3'],
  ['set_field:0x1005->vlan_tci', 'set_field:0->vlan_tci', 'set_field:0x3/0xff->vlan_tci'],
  [
    'push_vlan:0x8100,resubmit(,2),set_field:3->vlan_pcp',
    'mod_vlan_vid:6,resubmit(,3),set_field:4101->vlan_vid',
  ],
  [
    'mod_nw_src:10.0.0.2',
    'mod_nw_dst:10.0.1.1',
    'mod_nw_tos:16',
    'mod_nw_ttl:1',
    'mod_tp_src:81',
    'mod_tp_dst:53',
  ],
].flat();

/** Actions that need the flow to match their protocol. */
const particular: Record<string, string[]> = {
  tcp: ['set_field:80->tcp_dst', 'set_field:0x51/0xff->tcp_src', 'set_field:10.0.0.0/24->ip_src'],
  udp: ['set_field:53->udp_dst', 'set_field:4->ip_dscp', 'set_field:1->nw_ecn'],
  icmp: ['set_field:0->icmp_type', 'set_field:1->icmp_code', 'set_field:64->nw_ttl'],
  tcp6: ['set_field:fe80::2->ipv6_dst', 'set_field:fd00::/16->ipv6_src', 'set_field:81->tcp_dst'],
  arp: ['set_field:2->arp_op', 'set_field:10.0.0.2->arp_spa', `set_field:${A}->arp_tha`],
};

/** One flow of four tables in flow syntax. */
export const flowText: fc.Arbitrary<string> = fc.constantFrom(...protocols).chain(([kind, choices]) => {
  const protocol = kind.replace(/,.*/, '');
  const names = Object.keys(choices);
  const condition = fc
    .constantFrom(...names)
    .chain((name) =>
      fc
        .constantFrom(...choices[name]!, ...(masked[name] ?? []))
        .map((value) => ({ name, text: spell(name, value) })),
    );
  const conditions = fc.uniqueArray(condition, { maxLength: 3, selector: ({ name }) => name });
  const actions = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...anywhere) },
      fc.constantFrom(...(particular[protocol] ?? ['FLOOD'])),
    ),
    { maxLength: 5 },
  );
  return fc
    .record({
      table: fc.nat(3),
      priority: fc.nat(3),
      // Half of the flows say nothing of the protocol, and then only what every packet has.
      protocol: fc.boolean(),
      conditions,
      actions,
      jump: fc.option(fc.constantFrom(1, 2, 3)),
    })
    .map((flow) => {
      const said = flow.conditions
        .filter(({ name }) => flow.protocol || name in common)
        .map(({ text }) => text);
      const done = flow.protocol ? flow.actions : flow.actions.filter((action) => anywhere.includes(action));
      if (flow.jump !== null && flow.jump > flow.table) done.push(`goto_table:${flow.jump}`);
      const head = [
        `table=${flow.table}`,
        `priority=${flow.priority}`,
        ...(flow.protocol ? [protocol] : []),
        ...said,
      ];
      return `${head.filter((text) => text !== '').join(',')},actions=${done.join(',')}`;
    });
});
