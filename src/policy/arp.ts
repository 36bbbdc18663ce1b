/**
 * The router among its neighbours (RFC 826): it answers for its addresses, and learns from every ARP packet of a
 * zone which MAC and port an address has.
 *
 * Flows cannot ask when a packet needs an answer. They can turn a question into another one: whenever a host
 * asks for the router, which is before it sends anything through it, the router asks for the neighbours that
 * it must know without having heard of them: the gateway, those that the configuration names, and where forwards
 * lead to.
 */
import {
  flow,
  NEXT_HOP,
  nxm,
  PORT,
  resubmit,
  SWITCHED,
  swap,
  TABLE,
  ZONE_FROM,
  ZONE_TO,
} from './pipeline.ts';
import type { Interface, Plan, Question, Router } from './plan.ts';

const REQUEST = 'arp_op=1';
/** How long a neighbour is remembered that nothing is sent to. */
const FORGOTTEN_SECONDS = 14_400;

export function routerArpFlows(router: Router, mostMacs: number): string[] {
  return router.interfaces.flatMap((side) => {
    const { zone, network, own } = side;
    const here = ['arp', `${ZONE_FROM}=${zone.number}`];
    const neighbour = [...here, `arp_spa=${network}`];
    const learn = learnNeighbour(side, mostMacs);
    return [
      // Nobody else has the router's addresses.
      ...own.map((address) => flow('protocol', { priority: 400, match: [...here, `arp_spa=${address}`] })),
      ...own.map((address) =>
        flow('protocol', {
          priority: 310,
          match: [...neighbour, REQUEST, `arp_tpa=${address}`],
          actions: [learn, ...(router.questions.length > 0 ? [resubmit('questions')] : []), ...answer(side)],
        }),
      ),
      ...own.map((address) =>
        flow('protocol', { priority: 300, match: [...neighbour, `arp_tpa=${address}`], actions: [learn] }),
      ),
      flow('protocol', { priority: 200, match: neighbour, actions: [learn, ...SWITCHED] }),
    ];
  });
}

function learnNeighbour({ zone: { number } }: Interface, mostMacs: number): string {
  const parts = [
    `table=${TABLE.neighbours}`,
    `cookie=0x${number.toString(16)}`,
    `idle_timeout=${FORGOTTEN_SECONDS}`,
    `limit=${mostMacs}`,
    `${ZONE_TO}=${number}`,
    `${nxm(NEXT_HOP)}[]=NXM_OF_ARP_SPA[]`,
    'load:NXM_NX_ARP_SHA[]->NXM_OF_ETH_DST[]',
    `load:NXM_OF_IN_PORT[]->${nxm(PORT)}[0..15]`,
  ];
  return `learn(${parts.join(',')})`;
}

/** The request becomes its answer and goes back. */
function answer({ mac }: Interface): string[] {
  return [
    'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
    `set_field:${mac}->eth_src`,
    'set_field:2->arp_op',
    'move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]',
    `set_field:${mac}->arp_sha`,
    ...swap('NXM_OF_ARP_SPA', 'NXM_OF_ARP_TPA'),
    'IN_PORT',
  ];
}

export function questionFlows({ router }: Plan): string[] {
  if (!router || router.questions.length === 0) return [];
  return [flow('questions', { priority: 0, match: ['arp'], actions: router.questions.map(question) })];
}

/** A copy of the request that comes from the router and asks for the target. */
function question({ from: { mac, address, zone }, target }: Question): string {
  const parts = [
    `set_field:${mac}->eth_src`,
    'set_field:ff:ff:ff:ff:ff:ff->eth_dst',
    `set_field:${mac}->arp_sha`,
    'set_field:00:00:00:00:00:00->arp_tha',
    `set_field:${address}->arp_spa`,
    `set_field:${target}->arp_tpa`,
    ...zone.ports.map((port) => `output:${port}`),
  ];
  return `clone(${parts.join(',')})`;
}
