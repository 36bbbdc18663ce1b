/**
 * The twin that translation is tested against: it walks the tables for one packet and changes it at once.
 * Nothing is put off, nothing is remembered for other packets. And a datapath that runs a program on a
 * packet in the same way, so that what comes out of both can be compared.
 */
import * as layout from '../../src/datapath.ts';
import type { SetAction } from '../../src/table/action.ts';
import type { MacTable } from '../../src/table/mac.ts';
import { bytesOf } from '../../src/table/match.ts';
import type { Tables } from '../../src/table/table.ts';

/** What leaves a switch: to which port, with which tags (outermost last) and which other headers. */
export interface Sent {
  port: number;
  tags: number[];
  headers: string;
}

export interface Outcome {
  sent: Sent[];
  reason: number | undefined;
}

interface Frame {
  bytes: Uint8Array;
  tags: number[];
}

const { Key } = layout;

const u16 = (bytes: Uint8Array, offset: number): number => bytes[offset]! * 256 + bytes[offset + 1]!;

function frameOf(key: Uint8Array): Frame {
  const tci = u16(key, Key.vlanTci);
  return { bytes: key.slice(), tags: tci & 0x1000 ? [tci & 0xefff] : [] };
}

function send({ bytes, tags }: Frame, port: number): Sent {
  return {
    port,
    tags: tags.map((tci) => tci & 0xefff),
    headers: Buffer.from(bytes.subarray(6)).toString('hex'),
  };
}

/** The key that a table sees: the outermost tag is in it. */
function view({ bytes, tags }: Frame, inPort: number): Uint8Array {
  const key = bytes.slice();
  const tci = tags.length > 0 ? tags.at(-1)! | 0x1000 : 0;
  key[Key.vlanTci] = tci >> 8;
  key[Key.vlanTci + 1] = tci & 0xff;
  new DataView(key.buffer).setUint32(Key.inPort, inPort, true);
  return key;
}

const RANK = [
  layout.DROP_FLOW,
  layout.DROP_TABLE_MISS,
  layout.DROP_RESERVED_MULTICAST,
  layout.DROP_OUTPUT_TO_INGRESS,
  layout.DROP_NO_SUCH_PORT,
  layout.DROP_RESUBMIT_LIMIT,
];

class TooFar extends Error {}

export function interpret(
  key: Uint8Array,
  tables: Tables,
  macs: MacTable,
  ports: ReadonlySet<number>,
): Outcome {
  const frame = frameOf(key);
  const sent: Sent[] = [];
  const reasons = new Set([layout.DROP_FLOW]);
  let inPort = new DataView(key.buffer).getUint32(Key.inPort, true);
  let lookups = 0;
  const { bytes } = frame;
  const ethType = u16(bytes, Key.ethType);

  const output = (port: number): void => {
    if (ports.has(port)) sent.push(send(frame, port));
    else reasons.add(layout.DROP_NO_SUCH_PORT);
  };
  const flood = (): void => {
    reasons.add(layout.DROP_OUTPUT_TO_INGRESS);
    for (const port of [...ports].sort()) if (port !== inPort) output(port);
  };
  const mac = (offset: number): number =>
    Number(`0x${Buffer.from(bytes.subarray(offset, offset + 6)).toString('hex')}`);
  const normal = (): void => {
    const destination = mac(Key.ethDst);
    const known =
      bytes[Key.ethDst]! & 1 ? undefined : macs.lookup((frame.tags.at(-1) ?? 0) & 0xfff, destination);
    if (Buffer.from(bytes.subarray(8, 14)).toString('hex').startsWith('0180c200000')) {
      reasons.add(layout.DROP_RESERVED_MULTICAST);
    } else if (!known) flood();
    else if (known.port === inPort) reasons.add(layout.DROP_OUTPUT_TO_INGRESS);
    else output(known.port);
  };
  const has = (fieldName: string): boolean => {
    const proto = bytes[Key.nwProto]!;
    const isIp = ethType === 0x800 || ethType === 0x86dd;
    const whole = isIp && bytes[Key.nwFrag]! !== layout.FRAGMENT_LATER;
    if (/^eth_|^in_port/.test(fieldName)) return true;
    if (/^ip_(src|dst)/.test(fieldName)) return ethType === 0x800;
    if (/^ipv6_/.test(fieldName)) return ethType === 0x86dd;
    if (/^arp_/.test(fieldName)) return ethType === 0x806;
    if (/^tcp_/.test(fieldName)) return whole && proto === 6;
    if (/^udp_/.test(fieldName)) return whole && proto === 17;
    if (/^tp_/.test(fieldName)) return whole && (proto === 6 || proto === 17);
    if (/^icmp_/.test(fieldName)) return whole && proto === 1;
    return isIp;
  };
  const setTag = ({ spelling, field, value, mask }: SetAction): void => {
    const old = frame.tags.length > 0 ? frame.tags.at(-1)! | 0x1000 : 0;
    const tci = (old & ~u16(mask, 0)) | u16(value, 0);
    if (!(tci & 0x1000)) frame.tags.pop();
    else if (old) frame.tags[frame.tags.length - 1] = tci;
    else if (spelling.startsWith('mod_') || field.name === 'vlan_tci') frame.tags.push(tci);
  };

  const enter = (first: number, as: number, depth: number): void => {
    let port = as;
    for (let table = first; ; ) {
      if (depth > 64 || ++lookups > 4097) throw new TooFar();
      const seen = view(frame, port);
      const rule = tables.rules(table).find(({ match }) => {
        const [value, mask] = [bytesOf(match.value), bytesOf(match.mask)];
        return seen.every((byte, i) => ((byte ^ value[i]!) & mask[i]!) === 0);
      });
      if (!rule) {
        reasons.add(layout.DROP_TABLE_MISS);
        return;
      }
      let next: number | undefined;
      for (const action of rule.actions) {
        if (action.kind === 'output') {
          if (action.port === inPort) reasons.add(layout.DROP_OUTPUT_TO_INGRESS);
          else output(action.port);
        } else if (action.kind === 'inPort') output(inPort);
        else if (action.kind === 'flood' || action.kind === 'all') flood();
        else if (action.kind === 'normal') normal();
        else if (action.kind === 'pushVlan') frame.tags.push(0x1000);
        else if (action.kind === 'popVlan') frame.tags.pop();
        else if (action.kind === 'goto') next = action.table;
        else if (action.kind === 'resubmit') {
          const target = action.table ?? table;
          enter(target, action.port ?? inPort, target > table ? depth : depth + 1);
        } else if (action.kind === 'set') {
          const { field, value, mask } = action;
          if (field.offset === Key.vlanTci) setTag(action);
          else if (field.name === 'in_port') inPort = value[0]!;
          else if (has(field.name)) {
            for (let i = 0; i < field.bytes; i++) {
              const at = field.offset + i;
              bytes[at] = (bytes[at]! & ~mask[i]!) | value[i]!;
            }
          }
        }
      }
      if (next === undefined) return;
      table = next;
      port = inPort;
    }
  };

  try {
    enter(0, inPort, 0);
  } catch (error) {
    if (!(error instanceof TooFar)) throw error;
    return { sent: [], reason: layout.DROP_RESUBMIT_LIMIT };
  }
  const reason = sent.length > 0 ? undefined : RANK.filter((one) => reasons.has(one)).at(-1);
  return { sent, reason };
}

/** Runs a program as the datapath does. */
export function execute(key: Uint8Array, program: Uint32Array): Outcome {
  const frame = frameOf(key);
  const words = new Uint32Array(frame.bytes.buffer);
  const sent: Sent[] = [];
  let reason: number | undefined;
  let at = 0;
  const next = (): number => program[at++]!;
  for (let operation = next(); operation !== layout.OP_END; operation = next()) {
    if (operation === layout.OP_OUTPUT) sent.push(send(frame, next()));
    else if (operation === layout.OP_DROP) reason = next();
    else if (operation === layout.OP_PUSH_VLAN) frame.tags.push(next() & 0xffff);
    else if (operation === layout.OP_POP_VLAN) {
      if (frame.tags.pop() === undefined) throw new Error('pops a tag that is not there');
    } else if (operation === layout.OP_SET) {
      const [offset, value, mask] = [next(), next(), next()];
      if ((value & ~mask) !== 0) throw new Error('sets bits outside its mask');
      if (offset === Key.vlanTci) {
        if (mask >>> 16 || frame.tags.length === 0) throw new Error('sets more than a tag');
        const swap = (half: number) => ((half & 0xff) << 8) | (half >> 8);
        frame.tags.push((frame.tags.pop()! & ~swap(mask)) | swap(value));
      } else words[offset / 4] = (words[offset / 4]! & ~mask) | value;
    } else throw new Error(`unknown operation ${operation}`);
  }
  return { sent, reason };
}
