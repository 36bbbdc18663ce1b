/**
 * Ports, MACs and zones: what a switch does, in flows rather than by NORMAL, because rules must know which zone
 * a packet goes to before it goes there, and because the zones of a router are a bridge each.
 */
import {
  CT_ZONE,
  DECIDED,
  flow,
  nxm,
  PORT,
  resubmit,
  SWITCHED,
  set,
  TABLE,
  UNDECIDED,
  ZONE_FROM,
  ZONE_TO,
} from './pipeline.ts';
import type { Plan, Zone } from './plan.ts';

const GROUP_BIT = '01:00:00:00:00:00/01:00:00:00:00:00';
/** What a flow's time-out may be at most. */
const SECONDS_MAX = 0xffff;

/** RFC 2710 §3, RFC 4861 §4, RFC 3810 §5.2: listeners, neighbours and routers, which ct() does not track. */
const LINK_MESSAGES = [130, 131, 132, 133, 134, 135, 136, 137, 143];

const output = (ports: readonly string[]): string[] => ports.map((port) => `output:${port}`);

export function entryFlows(plan: Plan): string[] {
  const { zones, elsewhere, router } = plan;
  const enter = (zone: Zone) => [set(ZONE_FROM, zone.number), learnStation(plan, zone), resubmit('protocol')];
  return [
    flow('entry', { priority: 200, match: ['vlan_tci=0x1000/0x1000'] }),
    flow('entry', { priority: 200, match: [`dl_src=${GROUP_BIT}`] }),
    ...(router?.interfaces ?? []).map(({ mac }) =>
      flow('entry', { priority: 200, match: [`dl_src=${mac}`] }),
    ),
    ...[...zones.values()].flatMap((zone) =>
      zone.ports.map((port) =>
        flow('entry', { priority: 100, match: [`in_port=${port}`], actions: enter(zone) }),
      ),
    ),
    flow('entry', { priority: 0, actions: router ? [] : enter(elsewhere) }),
  ];
}

/** The sender's MAC is behind this port and in this zone. What one zone makes up takes no other's room. */
function learnStation({ mostMacs, macAgeingSeconds, router }: Plan, { number }: Zone): string {
  const parts = [
    `table=${TABLE.stations}`,
    `cookie=0x${number.toString(16)}`,
    `hard_timeout=${Math.min(macAgeingSeconds, SECONDS_MAX)}`,
    `limit=${mostMacs}`,
    ...(router ? [`${nxm(ZONE_FROM)}[]`] : []),
    'NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]',
    `load:NXM_OF_IN_PORT[]->${nxm(PORT)}[0..15]`,
    `load:${number}->${nxm(ZONE_TO)}[]`,
  ];
  return `learn(${parts.join(',')})`;
}

export function protocolFlows({ router }: Plan): string[] {
  const track = `ct(table=${TABLE.tracked},zone=${CT_ZONE}${router ? ',nat' : ''})`;
  return [
    ...LINK_MESSAGES.map((type) =>
      flow('protocol', { priority: 200, match: ['icmp6', `icmp_type=${type}`], actions: SWITCHED }),
    ),
    flow('protocol', { priority: 100, match: ['arp'], actions: SWITCHED }),
    flow('protocol', { priority: 100, match: ['ip'], actions: [track] }),
    flow('protocol', { priority: 100, match: ['ipv6'], actions: [track] }),
    flow('protocol', { priority: 0 }),
  ];
}

export function trackedFlows({ router }: Plan): string[] {
  return [
    flow('tracked', { priority: 200, match: ['ct_state=+inv+trk'] }),
    ...(router?.interfaces ?? []).map(({ zone, mac }) =>
      flow('tracked', {
        priority: 100,
        match: ['ip', `${ZONE_FROM}=${zone.number}`, `dl_dst=${mac}`],
        actions: [resubmit('own')],
      }),
    ),
    flow('tracked', { priority: 0, actions: SWITCHED }),
  ];
}

/** Where a connection's first packet may go to several zones, the rules of each decide. */
export function decisionFlows({ zones, elsewhere, router }: Plan): string[] {
  const ask = (zone: Zone) => [set(ZONE_TO, zone.number), resubmit('rules')];
  const everywhere = [...zones.values(), elsewhere].filter(({ ports }) => ports.length > 0);
  const toAll = { priority: 200, match: [UNDECIDED, `${PORT}=0`] };
  return [
    ...(router
      ? [...zones.values()].map((zone) =>
          flow('decision', {
            ...toAll,
            match: [...toAll.match, `${ZONE_FROM}=${zone.number}`],
            actions: ask(zone),
          }),
        )
      : [flow('decision', { ...toAll, actions: everywhere.flatMap(ask) })]),
    flow('decision', { priority: 100, match: [UNDECIDED], actions: [resubmit('rules')] }),
    ...DECIDED.map((state) =>
      flow('decision', { priority: 50, match: [state], actions: [resubmit('output')] }),
    ),
    flow('decision', { priority: 0 }),
  ];
}

export function outputFlows({ zones, elsewhere, router }: Plan): string[] {
  const which = router ? ZONE_FROM : ZONE_TO;
  const flooded = router ? [...zones.values()] : [...zones.values(), elsewhere];
  return [
    ...flooded
      .filter(({ ports }) => ports.length > 0)
      .map(({ number, ports }) =>
        flow('output', {
          priority: 100,
          match: [`${PORT}=0`, `${which}=${number}`],
          actions: output(ports),
        }),
      ),
    ...(router
      ? []
      : [flow('output', { priority: 100, match: [`${PORT}=0`, `${ZONE_TO}=0`], actions: ['FLOOD'] })]),
    flow('output', { priority: 0, actions: [`output:${nxm(PORT)}[]`] }),
  ];
}
