/** What happens, as monitors are told of it. */
import type { Punt as PuntedFrame } from '../datapath.ts';
import type { FlowRemovedEvent, SwitchEvent } from '../model.ts';
import { formatPacket } from '../table/megaflow.ts';
import { printFlow } from '../table/print.ts';
import type { Removal } from '../table/rule.ts';
import type { Punt } from '../table/translation.ts';
import { type PortNames, printPort } from '../table/values.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const cookieText = (cookie: bigint): string => `0x${cookie.toString(16)}`;

/** A packet for controllers or collectors; `key` is undefined when the packet cannot be parsed. */
export function puntEvent(
  punt: Punt,
  frame: PuntedFrame,
  key: Uint8Array | undefined,
  names: PortNames,
  nowMs: number,
): SwitchEvent {
  const common = {
    atMs: nowMs,
    table: punt.table,
    cookie: cookieText(punt.cookie),
    port: printPort(frame.inPort, names),
    length: frame.originalLength,
    packet: key ? formatPacket(key, names) : '',
  };
  if (punt.kind === 'sample') {
    const { collectorSet, domain, point } = punt.sample;
    return { kind: 'sample', ...common, collectorSet, domain, point, bytes: hex(frame.bytes) };
  }
  const { reason, controller, userdata, continuation, maxLength } = punt;
  return {
    kind: 'packetIn',
    ...common,
    reason,
    controller,
    ...(userdata && { userdata: hex(userdata) }),
    ...(continuation !== undefined && { continuation }),
    bytes: hex(frame.bytes.subarray(0, maxLength)),
  };
}

/** A flow that went. */
export function removalEvent({ rule, reason }: Removal, names: PortNames, nowMs: number): FlowRemovedEvent {
  const { table, cookie, createdMs, packets, bytes } = rule;
  return {
    kind: 'flowRemoved',
    atMs: nowMs,
    reason,
    table,
    cookie: cookieText(cookie),
    flow: printFlow(rule, names),
    durationSeconds: (nowMs - createdMs) / 1000,
    packets,
    bytes,
  };
}
