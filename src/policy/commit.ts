/** Connections that the rules allow are tracked from here on, and translated if a forward or masquerade says so. */
import { CT_ZONE, FORWARD, flow, resubmit, ZONE_FROM, ZONE_TO } from './pipeline.ts';
import type { Forward, Masquerade, Plan } from './plan.ts';

export function commitFlows({ router }: Plan): string[] {
  return [
    ...(router?.forwards ?? []).map(forwardFlow),
    ...(router?.masquerades ?? []).map(masqueradeFlow),
    ...['ip', 'ipv6'].map((protocol) =>
      flow('commit', { priority: 0, match: [protocol], actions: tracked('') }),
    ),
  ];
}

/** The packet gets back what table `own` changed for the rules to see, and ct() does the same for good. */
function forwardFlow({ number, address, protocol, ports, to }: Forward): string {
  const isOtherPort = to.port !== undefined;
  return flow('commit', {
    priority: 200,
    match: [protocol, `${FORWARD}=${number}`],
    actions: [
      `mod_nw_dst:${address}`,
      ...(isOtherPort ? [`mod_tp_dst:${ports.first}`] : []),
      ...tracked(`nat(dst=${to.address}${isOtherPort ? `:${to.port}` : ''})`),
    ],
  });
}

function masqueradeFlow({ from, to, source }: Masquerade): string {
  return flow('commit', {
    priority: 100,
    match: ['ip', `${ZONE_FROM}=${from.number}`, `${ZONE_TO}=${to.number}`],
    actions: tracked(`nat(src=${source})`),
  });
}

function tracked(translation: string): string[] {
  const how = ['commit', `zone=${CT_ZONE}`, ...(translation === '' ? [] : [translation])];
  return [`ct(${how.join(',')})`, resubmit('output')];
}
