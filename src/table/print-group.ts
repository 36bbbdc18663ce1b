/** Groups as `ovs-ofctl -O OpenFlow15 dump-groups` prints them. */
import { areEqual } from './bytes.ts';
import type { Bucket, Group, GroupType, SelectedField, Selection } from './group.ts';
import { printActions } from './print-actions.ts';
import { type PortNames, printPort, printValue } from './values.ts';

const TYPE_NAMES: Readonly<Record<GroupType, string>> = {
  all: 'all',
  select: 'select',
  indirect: 'indirect',
  fastFailover: 'ff',
};

function printField({ field, mask }: SelectedField): string {
  if (areEqual(mask, field.bits)) return field.name;
  return `${field.name}=${printValue({ value: mask, mask: field.bits }, field)}`;
}

function printSelection({ method, param, fields }: Selection): string[] {
  const printed = fields.map(printField).join(',');
  return [
    `selection_method=${method}`,
    ...(param === 0n ? [] : [`selection_method_param=${param}`]),
    ...(fields.length === 0 ? [] : [fields.length === 1 ? `fields=${printed}` : `fields(${printed})`]),
  ];
}

function printBucket(bucket: Bucket, type: GroupType, names: PortNames | undefined): string {
  const { id, weight, watchPort, watchGroup, actions } = bucket;
  const parts = [
    `bucket_id:${id}`,
    ...(type === 'select' && weight !== 1 ? [`weight:${weight}`] : []),
    ...(watchPort === undefined ? [] : [`watch_port:${printPort(watchPort, names)}`]),
    ...(watchGroup === undefined ? [] : [`watch_group:${watchGroup}`]),
    `actions=${printActions(actions, names)}`,
  ];
  return `bucket=${parts.join(',')}`;
}

/** One line as of `dump-groups`, without the blank at its start. */
export function printGroup({ id, type, selection, buckets }: Group, names?: PortNames): string {
  return [
    `group_id=${id}`,
    `type=${TYPE_NAMES[type]}`,
    ...(selection ? printSelection(selection) : []),
    ...buckets.map((bucket) => printBucket(bucket, type, names)),
  ].join(',');
}
