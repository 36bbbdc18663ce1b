/** The way of a packet that is sent to the router: to a forward, to the router itself, or by route and neighbour. */

import { ipv4Number, portMatches } from './addresses.ts';
import {
  FORWARD,
  flow,
  NEXT_HOP,
  nxm,
  PORT,
  resubmit,
  set,
  swap,
  UNDECIDED,
  ZONE_FROM,
  ZONE_TO,
} from './pipeline.ts';
import type { Forward, Interface, Router } from './plan.ts';

/** RFC 792: echo request and echo reply. */
const ECHO_REQUEST = ['icmp', 'icmp_type=8', 'icmp_code=0'];
const ECHO_REPLY = 'set_field:0->icmp_type';
/** RFC 1700, “IP time to live parameter”. */
const TTL = 'set_field:64->nw_ttl';

/** Before ct() translates anything: nobody sends from the network of another zone. */
export function originFlows({ interfaces }: Router): string[] {
  return interfaces.flatMap(({ zone }) =>
    interfaces
      .filter((other) => other.zone !== zone)
      .map(({ network }) =>
        flow('protocol', {
          priority: 200,
          match: ['ip', `${ZONE_FROM}=${zone.number}`, `nw_src=${network}`],
        }),
      ),
  );
}

export function ownFlows({ interfaces, own, forwards }: Router): string[] {
  return [
    ...forwards.flatMap(takeForward),
    ...interfaces.map(({ address }) =>
      flow('own', { priority: 150, match: [...ECHO_REQUEST, `nw_dst=${address}`], actions: echo }),
    ),
    ...own.map((address) => flow('own', { priority: 100, match: ['ip', `nw_dst=${address}`] })),
    flow('own', { priority: 0, actions: [resubmit('routes')] }),
  ];
}

/** The rules are to see where it really goes. */
function takeForward({ number, address, protocol, ports, to }: Forward): string[] {
  const actions = [
    set(FORWARD, number),
    `mod_nw_dst:${to.address}`,
    ...(to.port === undefined ? [] : [`mod_tp_dst:${to.port}`]),
    resubmit('routes'),
  ];
  return portMatches(ports).map((port) => {
    const match = [UNDECIDED, protocol, `nw_dst=${address}`, `tp_dst=${port}`];
    return flow('own', { priority: 200, match, actions });
  });
}

const echo = [
  ...swap('NXM_OF_ETH_SRC', 'NXM_OF_ETH_DST'),
  ...swap('NXM_OF_IP_SRC', 'NXM_OF_IP_DST'),
  ECHO_REPLY,
  TTL,
  'IN_PORT',
];

export function routeFlows({ interfaces, gateway }: Router): string[] {
  const through = ({ zone, mac }: Interface, nextHop: string) => [
    set(ZONE_TO, zone.number),
    `set_field:${mac}->eth_src`,
    nextHop,
    'dec_ttl',
    resubmit('neighbours'),
    resubmit('routed'),
  ];
  const direct = `move:NXM_OF_IP_DST[]->${nxm(NEXT_HOP)}[]`;
  return [
    ...interfaces.map((side) =>
      flow('routes', {
        priority: 100,
        match: ['ip', `nw_dst=${side.network}`],
        actions: through(side, direct),
      }),
    ),
    ...(gateway
      ? [
          flow('routes', {
            priority: 50,
            match: ['ip'],
            actions: through(gateway.from, set(NEXT_HOP, `0x${ipv4Number(gateway.target).toString(16)}`)),
          }),
        ]
      : []),
    flow('routes', { priority: 0 }),
  ];
}

/** An answer may have to leave where the question came in, which an output to the port it came in at does not do. */
export function routedFlows(): string[] {
  return [
    flow('routed', { priority: 100, match: [`${PORT}=0`] }),
    flow('routed', { priority: 0, actions: ['set_field:0->in_port', resubmit('decision')] }),
  ];
}
