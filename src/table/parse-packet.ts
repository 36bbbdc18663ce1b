/**
 * A packet in flow syntax, as `ovs-appctl ofproto/trace` takes it: what is not said is zero, but for the time to live.
 *
 *     in_port=web,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80
 */
import { KEY_SIZE, Key } from '../datapath.ts';
import { areEqual, isZero } from './bytes.ts';
import { FIELDS, type Field, fieldOf } from './fields.ts';
import { bytesOf, type Match } from './match.ts';
import { parseMatch } from './parse-match.ts';
import { ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, meets } from './protocols.ts';
import { fail, type Item, lineToken, parseNumber, splitItems, type Token, valueFor } from './syntax.ts';
import type { PortNumbers } from './values.ts';

export interface GivenPacket {
  /** KEY_SIZE bytes. */
  readonly key: Uint8Array;
  /** Of an ICMP query: no field, but what its connection goes by. */
  readonly icmpId: number;
}

const DEFAULT_TTL = 64;
const TTL = fieldOf('nw_ttl');
const IN_PORT = fieldOf('in_port');
/** Of these a packet has what is said to be set. */
const FLAGS: readonly Field['kind'][] = ['tcpFlags', 'fragment'];

/** @throws FlowError */
export function parsePacket(text: string, ports: PortNumbers): GivenPacket {
  const whole = lineToken(text, 1);
  const items = splitItems(whole);
  const isId = ({ name }: Item) => name.text === 'icmp_id';
  const match = parseMatch(
    items.filter((item) => !isId(item)),
    ports,
  );
  checkWhole(match, whole);
  const key = bytesOf(match.value).slice(0, KEY_SIZE);
  const { ethType, nwProto } = match;
  const isIp = ethType === ETH_IPV4 || ethType === ETH_IPV6;
  if (isIp && isZero(match.get(TTL).mask)) key[Key.nwTtl] = DEFAULT_TTL;
  const id = items.find(isId);
  if (id && nwProto !== ICMP && nwProto !== ICMPV6) fail(id.name, '"icmp_id" without icmp', 'icmp or icmp6');
  return { key, icmpId: id ? parseNumber(valueFor(id, 'icmp_id=NUMBER'), 'an identifier', 0xffff) : 0 };
}

/** Whether it says what one packet is that comes in. */
function checkWhole(match: Match, whole: Token): void {
  if (isZero(match.get(IN_PORT).mask)) fail(whole, 'no in_port', 'in_port=PORT: where the packet comes in');
  for (const field of FIELDS) {
    const { mask } = match.get(field);
    if (!field.printed || isZero(mask) || !meets(field.requires, match)) continue;
    if (field.offset >= KEY_SIZE || field.name.startsWith('ct_')) {
      fail(whole, `"${field.matchName}"`, 'what a packet has that comes in; this it gets in the tables');
    }
    if (!areEqual(mask, field.bits) && !FLAGS.includes(field.kind)) {
      fail(whole, `"${field.matchName}" with a mask`, 'one value, since it is one packet');
    }
  }
}
