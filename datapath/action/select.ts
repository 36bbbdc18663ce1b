/**
 * Chooses one of several buckets for a connection, in proportion to their weights, the same at every thread
 * and for as long as the buckets stay: rendezvous hashing (Thaler and Ravishankar 1998) with weights.
 *
 * Each bucket draws, from a hash of the connection and its own salt, how long it takes to arrive, as an
 * exponential variable with its weight for rate; the first to arrive is chosen. Shares are in proportion to
 * the weights, and a bucket that goes or comes moves only the connections that were or will be its own.
 *
 * A connection is what the packet's key says of it: protocol, addresses and ports, in one direction. Fragments
 * have no ports, so that all of a packet's go the same way. For what is not IP, the hardware addresses.
 */
import { Key } from '../flow/key';
import { PROTO_SCTP, PROTO_TCP, PROTO_UDP, TYPE_IPV4, TYPE_IPV6 } from '../packet/headers';
import { behindPrograms, bucketAt } from './program';

/** The program that OP_SELECT at `pc` chooses for a packet with this key; 0 when no bucket has a weight. */
export function select(pc: usize, key: Key): usize {
  const connection = hashConnection(key, load<u32>(pc + 4));
  const n = load<u32>(pc + 8);
  let first = n;
  let soonest = Infinity;
  let at = pc + 12;
  for (let i: u32 = 0; i < n; i++) {
    at = bucketAt(at);
    const weight = load<u32>(at + 4);
    if (weight != 0) {
      const arrival = exponential(mix(connection, <u64>load<u32>(at))) / <f64>weight;
      if (arrival < soonest) {
        soonest = arrival;
        first = i;
      }
    }
    at += 8;
  }
  return first == n ? 0 : behindPrograms(at, first);
}

function hashConnection(key: Key, basis: u32): u64 {
  const k = changetype<usize>(key);
  let hash = mix(<u64>basis, <u64>key.ethType);
  if (key.ethType != TYPE_IPV4 && key.ethType != TYPE_IPV6) {
    hash = mix(hash, load<u64>(k + offsetof<Key>('ethDst')));
    return mix(hash, <u64>key.ethSrcLow);
  }
  const hasPorts = key.nwProto == PROTO_TCP || key.nwProto == PROTO_UDP || key.nwProto == PROTO_SCTP;
  const ports = hasPorts && key.nwFrag == 0 ? load<u32>(k + offsetof<Key>('tpSrc')) : 0;
  hash = mix(hash, ((<u64>key.nwProto) << 32) | <u64>ports);
  const addresses = k + offsetof<Key>('nwSrc');
  hash = mix(hash, load<u64>(addresses));
  if (key.ethType == TYPE_IPV4) return hash;
  for (let i: usize = 8; i < 32; i += 8) hash = mix(hash, load<u64>(addresses + i));
  return hash;
}

/** The finaliser of SplitMix64 (Steele, Lea and Flood 2014). */
export function mix(hash: u64, word: u64): u64 {
  let x = (hash ^ word) + 0x9e3779b97f4a7c15;
  x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >>> 27)) * 0x94d049bb133111eb;
  return x ^ (x >>> 31);
}

/** An exponential variable with rate 1 from 64 random bits. */
function exponential(random: u64): f64 {
  return -log(<f64>((random >>> 11) + 1) * (1.0 / 9007199254740992.0));
}

/**
 * The natural logarithm of a normal number above 0, to ten digits: of its power of two, and of its fraction
 * by the series of the inverse hyperbolic tangent. (The library's brings tables, which each thread would load.)
 */
function log(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  const exponent = <f64>(<i32>(bits >>> 52) - 1023);
  const fraction = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000); // 1 up to 2
  const t = (fraction - Math.SQRT2) / (fraction + Math.SQRT2);
  const t2 = t * t;
  const series =
    t * (1.0 + t2 * (1.0 / 3.0 + t2 * (1.0 / 5.0 + t2 * (1.0 / 7.0 + t2 * (1.0 / 9.0 + t2 / 11.0)))));
  return (exponent + 0.5) * Math.LN2 + 2.0 * series;
}
