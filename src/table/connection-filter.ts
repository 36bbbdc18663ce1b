/**
 * Which connections are meant, as one writes it, and as the datapath takes it (datapath/conntrack/filter.ts).
 *
 *     zone=5 mark=0x2/0x2 state=ESTABLISHED ct_nw_src=10.0.0.0/8,tcp,ct_tp_dst=80
 *     '' ct_nw_src=10.1.1.2
 *
 * Each word of a command line is a word here, and its items are joined by commas. As with `ovs-ofctl ct-flush`,
 * the first word about addresses and ports is about the original direction, the second about the reply's; an
 * empty word is about neither, and lets one say something of the reply alone.
 */
import {
  CONNECTION_TUPLES,
  Connection,
  ConnectionFilter,
  FILTER_MASK,
  FILTER_SIZE,
  FILTER_VALUE,
  FILTERED,
  NETWORK_IPV4,
  NETWORK_IPV6,
  TUPLE_SIZE,
  Tuple,
} from '../datapath.ts';
import { fromNumber } from './bytes.ts';
import { type Field, fieldOf } from './fields.ts';
import { ICMP, ICMPV6, SCTP, TCP, UDP } from './protocols.ts';
import { fail, type Item, parseNumber, splitItems, suggestion, type Token, valueFor } from './syntax.ts';
import { type Masked, parseValue } from './values.ts';

/** States of an end of a TCP connection, by the numbers TCP_… (datapath/conntrack/tcp.ts). */
export const TCP_STATES = [
  'CLOSED',
  'SYN_SENT',
  'ESTABLISHED',
  'CLOSING',
  'FIN_WAIT_2',
  'TIME_WAIT',
] as const;

/** What a connection is said to be in when the end that is further on is in a state; as Open vSwitch says it. */
export function shownState(state: number): string {
  const name = TCP_STATES[state]!;
  return name === 'FIN_WAIT_2' ? 'TIME_WAIT' : name;
}

const SHOWN_STATES: readonly string[] = [...new Set(TCP_STATES.map((_, state) => shownState(state)))];

/** Where in a record the tuples are: of the original direction and of the reply. */
const TUPLES = [CONNECTION_TUPLES, CONNECTION_TUPLES + TUPLE_SIZE] as const;

const NO_PORTS = new Map<string, number>();

/** Protocols that may be named instead of numbered. */
const PROTOCOLS = new Map([
  ['tcp', TCP],
  ['udp', UDP],
  ['sctp', SCTP],
  ['icmp', ICMP],
  ['icmpv6', ICMPV6],
]);
const isIcmp = (protocol: number | undefined): boolean => protocol === ICMP || protocol === ICMPV6;

interface AddressField {
  readonly field: Field;
  readonly offset: number;
  readonly network: number;
}

const ADDRESSES: Readonly<Record<string, AddressField>> = {
  ct_nw_src: { field: fieldOf('ip_src'), offset: Tuple.srcLow, network: NETWORK_IPV4 },
  ct_nw_dst: { field: fieldOf('ip_dst'), offset: Tuple.dstLow, network: NETWORK_IPV4 },
  ct_ipv6_src: { field: fieldOf('ipv6_src'), offset: Tuple.srcLow, network: NETWORK_IPV6 },
  ct_ipv6_dst: { field: fieldOf('ipv6_dst'), offset: Tuple.dstLow, network: NETWORK_IPV6 },
};

interface NumberField {
  readonly offset: number;
  readonly bytes: number;
  readonly icmp: boolean;
}

const NUMBERS: Readonly<Record<string, NumberField>> = {
  ct_tp_src: { offset: Tuple.tpSrc, bytes: 2, icmp: false },
  ct_tp_dst: { offset: Tuple.tpDst, bytes: 2, icmp: false },
  icmp_id: { offset: Tuple.tpSrc, bytes: 2, icmp: true },
  icmp_type: { offset: Tuple.tpDst, bytes: 1, icmp: true },
  icmp_code: { offset: Tuple.tpDst + 1, bytes: 1, icmp: true },
};

const OF_TUPLE = [...Object.keys(ADDRESSES), 'ct_nw_proto', ...PROTOCOLS.keys(), ...Object.keys(NUMBERS)];
const OF_CONNECTION = ['zone', 'mark', 'labels', 'state'];

/** The bytes of a filter as they are found out. */
class Builder {
  readonly bytes = new Uint8Array(FILTER_SIZE);
  readonly #words = new Uint32Array(this.bytes.buffer);

  /** Wants the bytes of a record from `offset` on to be `value`, where `mask` has ones. */
  want(offset: number, { value, mask }: Masked): void {
    this.bytes.set(value, FILTER_VALUE + offset - FILTERED);
    this.bytes.set(mask, FILTER_MASK + offset - FILTERED);
  }

  wantNumber(offset: number, bytes: number, value: number, hostOrder = false): void {
    this.want(offset, {
      value: fromNumber(BigInt(value), bytes, hostOrder),
      mask: new Uint8Array(bytes).fill(0xff),
    });
  }

  wantState(name: string): void {
    TCP_STATES.forEach((_, state) => {
      if (shownState(state) === name) this.#words[ConnectionFilter.states >> 2]! |= 1 << state;
    });
  }

  wantPorts(): void {
    this.#words[ConnectionFilter.portsOnly >> 2] = 1;
  }
}

/**
 * @param words as on a command line; none: all connections
 * @throws FlowError, in which a column counts from the beginning of the first word
 */
export function parseConnectionFilter(words: readonly string[]): Uint8Array {
  const builder = new Builder();
  const seen = new Set<string>();
  let tuples = 0;
  let column = 1;
  for (const text of words) {
    const word: Token = { text, line: 1, column };
    column += text.length + 1;
    const items = splitItems(word);
    const ofTuple = items.filter((item) => !OF_CONNECTION.includes(item.name.text));
    for (const item of items) if (!ofTuple.includes(item)) addOfConnection(builder, item, seen);
    if (ofTuple.length === 0 && items.length > 0) continue;
    if (tuples === TUPLES.length) {
      fail(word, `"${text}" after two words about addresses`, 'the original direction, then the reply');
    }
    addTuple(builder, ofTuple, TUPLES[tuples++]!);
  }
  return builder.bytes;
}

function addOfConnection(builder: Builder, item: Item, seen: Set<string>): void {
  const { text } = item.name;
  if (seen.has(text)) fail(item.name, `"${text}" twice`, 'it once');
  seen.add(text);
  const value = valueFor(item, `${text}=VALUE`);
  switch (text) {
    case 'zone':
      return builder.wantNumber(TUPLES[0] + Tuple.zone, 2, parseNumber(value, 'a zone', 0xffff), true);
    case 'mark':
      return builder.want(Connection.mark, parseValue(value, fieldOf('ct_mark'), NO_PORTS));
    case 'labels':
      return builder.want(Connection.label, parseValue(value, fieldOf('ct_label'), NO_PORTS));
    default: {
      const state = value.text.toUpperCase();
      if (!SHOWN_STATES.includes(state)) {
        fail(value, `"${value.text}"${suggestion(state, SHOWN_STATES)}`, `one of ${SHOWN_STATES.join(', ')}`);
      }
      builder.wantState(state);
    }
  }
}

/** What the words of a tuple say, with its protocol and network layer beside what needs them. */
function addTuple(builder: Builder, items: readonly Item[], at: number): void {
  const protocol = protocolOf(items);
  if (protocol !== undefined) builder.wantNumber(at + Tuple.proto, 1, protocol);
  const seen = new Set<string>();
  let network: AddressField['network'] | undefined;
  for (const item of items) {
    const { text } = item.name;
    if (seen.has(text)) fail(item.name, `"${text}" twice`, 'it once in a word');
    seen.add(text);
    const address = ADDRESSES[text];
    const number = NUMBERS[text];
    if (address) {
      if (network !== undefined && network !== address.network) {
        fail(item.name, `"${text}" beside an address of the other family`, 'IPv4 or IPv6 addresses');
      }
      network = address.network;
      const value = valueFor(item, `${text}=ADDRESS`);
      builder.want(at + address.offset, parseValue(value, address.field, NO_PORTS));
    } else if (number) {
      addNumber(builder, item, number, at, protocol);
    } else if (!OF_TUPLE.includes(text)) {
      fail(
        item.name,
        `unknown field "${text}"${suggestion(text, OF_TUPLE)}`,
        `one of ${OF_TUPLE.join(', ')}`,
      );
    }
  }
  if (network !== undefined) builder.wantNumber(at + Tuple.l3, 1, network);
}

function protocolOf(items: readonly Item[]): number | undefined {
  const found = items.filter(({ name }) => name.text === 'ct_nw_proto' || PROTOCOLS.has(name.text));
  if (found.length > 1) fail(found[1]!.name, 'a second protocol', 'one');
  const item = found[0];
  if (!item) return undefined;
  if (item.name.text === 'ct_nw_proto') {
    return parseNumber(valueFor(item, 'ct_nw_proto=NUMBER'), 'a protocol', 255);
  }
  if (item.value) fail(item.value, `"${item.value.text}"`, `${item.name.text} without a value`);
  return PROTOCOLS.get(item.name.text);
}

function addNumber(
  builder: Builder,
  item: Item,
  { offset, bytes, icmp }: NumberField,
  at: number,
  protocol: number | undefined,
): void {
  const { text } = item.name;
  if (icmp && !isIcmp(protocol)) fail(item.name, `"${text}"`, 'icmp or icmpv6 beside it');
  if (!icmp && isIcmp(protocol)) fail(item.name, `"${text}" of ICMP`, 'icmp_id, icmp_type or icmp_code');
  if (!icmp) builder.wantPorts();
  const value = parseNumber(valueFor(item, `${text}=NUMBER`), 'a number', 2 ** (8 * bytes) - 1);
  builder.wantNumber(at + offset, bytes, value);
}
