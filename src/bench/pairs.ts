/**
 * A table for benches that want flows by the hundred thousand from rules by the hundred: clients and servers, as many of
 * the one as of the other, with a rule for each. The flow of a packet is that of a client and a server.
 *
 *     table 0   nw_src=10.0.x.x ─▶ table 1   nw_dst=10.1.x.x ─▶ table 2   output
 */
import { type RigOptions, udpPacket } from './rig.ts';

/** Ports: packets come in at the last, and go out at one of the others. */
export const OUT = { before: 1, after: 2 } as const;
const PORTS = 3;

/** All packets go out at a port. */
export const outputTo = (port: number): string => `table=2,actions=output:${port}`;

export function pairs(
  flows: number,
): Pick<RigOptions, 'ports' | 'flows' | 'packet' | 'fields' | 'side' | 'connections'> {
  const side = Math.ceil(Math.sqrt(flows));
  const each = Array.from({ length: side }, (_, i) => `${i >> 8}.${i & 255}`);
  return {
    ports: PORTS,
    flows: [
      ...each.map((host) => `table=0,ip,nw_src=10.0.${host},actions=resubmit(,1)`),
      ...each.map((host) => `table=1,ip,nw_dst=10.1.${host},actions=resubmit(,2)`),
      outputTo(OUT.before),
    ].join('\n'),
    packet: udpPacket('10.0.0.0', '10.1.0.0', [40_000, 7]),
    fields: [
      { at: 28, part: 'high', first: 0 },
      { at: 32, part: 'low', first: 0 },
    ],
    side,
    connections: 0,
  };
}
