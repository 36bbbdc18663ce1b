/**
 * What tracking tells of a packet. It stands in the second line of the frame's record, laid out as the second
 * line of the flow key, so that the packet brings it along to its next round (`bringAlong`):
 *
 *      64      65          66     68     72      74      76   80      96             112
 *     ┌───────┬───────────┬──────┬──────┬───────┬───────┬────┬───────┬──────────────┬──────────────┐
 *     │ctState│ctNwProto  │ctZone│ctMark│ctTpSrc│ctTpDst│  0 │ctLabel│ source       │ destination  │
 *     └───────┴───────────┴──────┴──────┴───────┴───────┴────┴───────┴──────────────┴──────────────┘
 *
 * Protocol, ports and addresses are the connection's original ones; `ctNwProto` is 0 when there are none. The line
 * says something while the frame has FRAME_TRACKED; its holder alone reads and writes it, as the rest of the record.
 */
import { COUNT_CT_INVALID, count } from '../counters';
import { Key } from '../flow/key';
import { LINE } from '../memory/arena';
import { FRAME_TRACKED, Frame } from '../packet/frame';
import { Connection, connectionNumber } from './connection';
import { toldTuple } from './kin';
import { isIcmp, Tuple } from './tuple';

// Bits of ct_state, as Open vSwitch numbers them.
export const CT_NEW: u32 = 1;
export const CT_ESTABLISHED: u32 = 2;
export const CT_RELATED: u32 = 4;
export const CT_REPLY: u32 = 8;
export const CT_INVALID: u32 = 16;
export const CT_TRACKED: u32 = 32;
export const CT_SNAT: u32 = 64;
export const CT_DNAT: u32 = 128;

/** The line as a key's: its fields, but for those of the first line, are the frame's. */
function lineOf(frame: Frame): Key {
  return changetype<Key>(changetype<usize>(frame));
}

/** The bits that the frame has from `zone`; 0: it was not tracked there last. */
export function stateIn(frame: Frame, zone: u16): u32 {
  if (!(frame.flags & FRAME_TRACKED)) return 0;
  if (lineOf(frame).ctZone != zone) return 0;
  return <u32>lineOf(frame).ctState;
}

/** The packet is one that no connection is for, and has no tuple. No connection has heard of it. Counts it. */
export function noteInvalid(frame: Frame, zone: u16): void {
  const line = changetype<usize>(frame) + LINE;
  v128.store(line, i64x2.splat(0));
  store<u64>(line, CT_INVALID | CT_TRACKED | ((<u32>zone) << 16));
  for (let at: usize = 16; at < LINE; at += 16) v128.store(line + at, i64x2.splat(0));
  frame.flags |= FRAME_TRACKED;
  frame.connection = 0;
  count(COUNT_CT_INVALID, 1);
}

/** The packet has these bits, and this original tuple; no mark or label, and no connection has heard of it. */
export function noteState(frame: Frame, state: u32, original: Tuple): void {
  write(frame, firstWord(state, original), i64x2.splat(0), original);
  frame.connection = 0;
}

/** The same with a mark, and the label that stands at an address. */
export function noteMarked(frame: Frame, state: u32, original: Tuple, mark: u32, label: usize): void {
  const first = firstWord(state, original) | ((<u64>mark) << 32);
  write(frame, first, v128.load(label), original);
  frame.connection = 0;
}

/** The packet has these bits, and is of this connection: it has its original tuple, mark and label. */
export function noteConnection(frame: Frame, state: u32, connection: Connection): void {
  const original = toldTuple(connection);
  const label = v128.load(changetype<usize>(connection), offsetof<Connection>('label'));
  const first = firstWord(state, original) | ((<u64>connection.mark) << 32);
  write(frame, first, label, original);
  frame.connection = connectionNumber(connection) + 1;
  frame.generation = connection.generation;
}

/** Writes the line, each word of it once, but for ICMP: `first` has state, protocol, zone and mark. */
function write(frame: Frame, first: u64, label: v128, original: Tuple): void {
  const line = changetype<usize>(frame) + LINE;
  const addresses = changetype<usize>(original);
  store<u64>(line, first);
  storePorts(line + 8, original);
  v128.store(line, label, 16);
  v128.store(line, v128.load(addresses), 32);
  v128.store(line, v128.load(addresses, 16), 48);
  frame.flags |= FRAME_TRACKED;
}

/** State, protocol and zone, of which the last two stand in a tuple as in the line; a mark of 0 behind them. */
function firstWord(state: u32, original: Tuple): u64 {
  const word = load<u32>(changetype<usize>(original), offsetof<Tuple>('l3'));
  return <u64>((word & ~0xff) | state);
}

/** As the key has them, where ICMP has type and code in the two ports (key.ts). */
function storePorts(at: usize, original: Tuple): void {
  const ports = load<u32>(changetype<usize>(original), offsetof<Tuple>('tpSrc'));
  store<u64>(at, <u64>ports);
  if (isIcmp(original.proto)) store<u64>(at, <u64>(((ports >>> 8) & 0xff00) | (ports & 0xff000000)));
}

/** Forgets what the packet is. */
export function forgetTracking(frame: Frame): void {
  frame.flags &= ~FRAME_TRACKED;
  frame.connection = 0;
}

/** Writes to a key what the frame brings along. A packet of neighbour discovery has no tuple, so nothing collides. */
export function bringAlong(frame: Frame, key: Key): void {
  if (!(frame.flags & FRAME_TRACKED)) return;
  const from = changetype<usize>(frame);
  const to = changetype<usize>(key);
  for (let at: usize = LINE; at < 2 * LINE; at += 16)
    v128.store(to + at, v128.or(v128.load(to + at), v128.load(from + at)));
}
