/**
 * A tuple: what names the packets of one direction of a connection. 40 bytes.
 *
 *      0        16       32      34      36   37    38
 *     ┌────────┬────────┬───────┬───────┬────┬─────┬──────┐
 *     │ source │ destin.│ tpSrc │ tpDst │ l3 │proto│ zone │
 *     └────────┴────────┴───────┴───────┴────┴─────┴──────┘
 *
 * Addresses and ports are in network order, as they stand in the packet; an IPv4 address fills the first four
 * bytes of its sixteen, the others are 0. `zone` is in host order. ICMP queries have their identifier in `tpSrc`,
 * and type and code, in this order, in the bytes of `tpDst`. Protocols without ports have 0 in both.
 *
 * The hash of a tuple is that of its reverse as well: a connection without address translation has one entry in
 * the table and is found by it from both directions.
 */
import { map } from '../memory/arena';

@unmanaged
export class Tuple {
  srcLow: u64; // bytes 0 .. 7 of the source address
  srcHigh: u64;
  dstLow: u64;
  dstHigh: u64;
  tpSrc: u16;
  tpDst: u16;
  l3: u8; // NETWORK_IPV4 or NETWORK_IPV6 (frame.ts)
  proto: u8;
  zone: u16;
}

export const TUPLE_SIZE: u32 = 40;

const PROTO_ICMP: u8 = 1;
const PROTO_ICMPV6: u8 = 58;

const ONE: u64 = 0x9e3779b97f4a7c15; // odd, of high bit density
const TWO: u64 = 0xc2b2ae3d27d4eb4f;
const THREE: u64 = 0xd6e8feb86659fd93;

export function isIcmp(proto: u8): bool {
  return proto == PROTO_ICMP || proto == PROTO_ICMPV6;
}

/**
 * Of one end: an address and a port. Both halves are salted and mixed before they meet, so that nobody outside can aim
 * at a bucket: who changes one does not know how the other would have to change for the sum to stay.
 */
function hashEnd(low: u64, high: u64, port: u64): u64 {
  const x = (low ^ load<u64>(map.hashSalts)) * ONE;
  const y = (high ^ load<u64>(map.hashSalts, 8)) * TWO;
  const z = ((x ^ (x >>> 32)) + (y ^ (y >>> 29)) + port) * THREE;
  return z ^ (z >>> 32);
}

/** The same for a tuple and its reverse. Of ICMP the type is left out, which differs between the two. */
export function hashTuple(tuple: Tuple): u32 {
  const source = hashEnd(tuple.srcLow, tuple.srcHigh, <u64>tuple.tpSrc);
  const port = isIcmp(tuple.proto) ? tuple.tpSrc : tuple.tpDst;
  const destination = hashEnd(tuple.dstLow, tuple.dstHigh, <u64>port);
  const rest = load<u32>(changetype<usize>(tuple), offsetof<Tuple>('l3'));
  const x = (source + destination + <u64>rest) * ONE;
  return <u32>(x >>> 32);
}

/** Whether two tuples name the same packets. */
export function isSameTuple(a: Tuple, b: Tuple): bool {
  const x = changetype<usize>(a);
  const y = changetype<usize>(b);
  const first = v128.xor(v128.load(x), v128.load(y));
  const second = v128.xor(v128.load(x, 16), v128.load(y, 16));
  return !v128.any_true(v128.or(first, second)) && load<u64>(x, 32) == load<u64>(y, 32);
}

export function copyTuple(to: Tuple, from: Tuple): void {
  const x = changetype<usize>(to);
  const y = changetype<usize>(from);
  v128.store(x, v128.load(y));
  v128.store(x, v128.load(y, 16), 16);
  store<u64>(x, load<u64>(y, 32), 32);
}

/**
 * Sets what the transport adds to a tuple, `tpSrc` and `tpDst` behind one another, which has its protocol and zone. All
 * short fields are written, as one word: what is written in pieces and read whole right after has to wait until it
 * has reached the cache.
 */
export function setName(tuple: Tuple, name: u32): void {
  const rest = ((<u64>tuple.l3) << 32) | ((<u64>tuple.proto) << 40) | ((<u64>tuple.zone) << 48);
  store<u64>(changetype<usize>(tuple), rest | <u64>name, offsetof<Tuple>('tpSrc'));
}

/** Writes to `to` the tuple of the packets that answer those of `from`. */
export function reverseTuple(to: Tuple, from: Tuple): void {
  const x = changetype<usize>(to);
  const y = changetype<usize>(from);
  const source = v128.load(y);
  v128.store(x, v128.load(y, 16));
  v128.store(x, source, 16);
  const word = load<u64>(y, 32);
  const rest = word & 0xffffffff00000000;
  const ports = <u32>word;
  store<u64>(x, rest | <u64>(isIcmp(from.proto) ? answerToQuery(ports) : rotl<u32>(ports, 16)), 32);
}

/** Identifier, type and code of the answer. */
function answerToQuery(query: u32): u32 {
  return (query & 0xffff) | ((<u32>answerTo(<u16>(query >>> 16))) << 16);
}

/**
 * The type and code that answer those of an ICMP query, or are answered by them: echo (8 and 0), timestamp (13, 14),
 * information (15, 16); RFC 792; of ICMPv6 echo (128, 129), RFC 4443 §4. Others are their own answer.
 */
function answerTo(typeAndCode: u16): u16 {
  const type = <u8>typeAndCode;
  const code = typeAndCode & 0xff00;
  if (type == 8) return code;
  if (type == 0) return code | 8;
  if ((type >= 13 && type <= 16) || type == 128 || type == 129) {
    const base: u8 = type < 128 ? 13 : 128;
    return code | <u16>(((type - base) ^ 1) + base);
  }
  return typeAndCode;
}
