/** What groups and meters have counted, as `ovs-ofctl` prints it. */
import { type GroupInForce, groupsIn, groupsOf } from '../table/groups.ts';
import { type MeterInForce, metersIn } from '../table/meters.ts';
import type { Facts } from './rule-commands.ts';

const seconds = (fromMs: number, nowMs: number): string => `${((nowMs - fromMs) / 1000).toFixed(3)}s`;

/** One line as of `ovs-ofctl dump-group-stats`: `ref_count` is the rules and groups that use it. */
export function groupStatistics({ group, createdMs }: GroupInForce, facts: Facts): string {
  const { ruleset, tallies, nowMs } = facts;
  const { id, buckets } = group;
  const references =
    ruleset.tables.dump().filter(({ actions }) => groupsIn(actions).includes(id)).length +
    ruleset.groups.all().filter((other) => groupsOf(other.group).includes(id)).length;
  const total = tallies.read(id);
  const counted = buckets.map((bucket, i) => {
    const { packets, bytes } = tallies.read(id, bucket.id);
    return `bucket${i}:packet_count=${packets},byte_count=${bytes}`;
  });
  return [
    `group_id=${id}`,
    `duration=${seconds(createdMs, nowMs)}`,
    `ref_count=${references}`,
    `packet_count=${total.packets}`,
    `byte_count=${total.bytes}`,
    ...counted,
  ].join(',');
}

/** A line as of `ovs-ofctl meter-stats`, and one for each band. */
export function meterStatistics({ meter: { id }, createdMs }: MeterInForce, facts: Facts): string[] {
  const { ruleset, meters, nowMs } = facts;
  const flows = ruleset.tables.dump().filter(({ actions }) => metersIn(actions).includes(id)).length;
  const { packets, bytes, bands } = meters.read(id)!;
  return [
    `meter:${id} flow_count:${flows} packet_in_count:${packets} byte_in_count:${bytes} ` +
      `duration:${seconds(createdMs, nowMs)} bands:`,
    ...bands.map((band, i) => `${i}: packet_count:${band.packets} byte_count:${band.bytes}`),
  ];
}
