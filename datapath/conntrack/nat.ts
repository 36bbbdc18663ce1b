/**
 * Chooses how a connection is translated: a reply tuple that no other connection has, from what an action asks
 * for. The other half, what is done to packets, is translate.ts.
 *
 * Candidates are counted in one space, every port of an address and then those of the next, wrapping around:
 *
 *     port     7000   7001   7002
 *     .240        1      2      0     0: picked by a hash, or at random
 *     .241        4      5      3
 *
 * A search tries 128 from the picked one on, and then, as long as it has not seen all there are, 64, 32, 16 and
 * 8 from places drawn at random; so a space of 128 is never called full before it is. First the address and,
 * when a range is given, the port are tried, everything else as the sender chose it. When that finds nothing and
 * the source port is nobody's wish, it is searched for among its like (below), beginning behind the sender's own.
 *
 * A tuple is taken by inserting it (`reserve`), one after the other, with no lock held: two threads that want the
 * same are told apart there. A connection that ends up with the plain reverse of its original tuple is not
 * translated, and has nothing reserved.
 */
import { NAT_HAS_ADDRESS, NAT_HAS_PORTS, NAT_PERSISTENT, NAT_RANDOM, NAT_SOURCE } from '../action/opcode';
import { draw } from '../action/sample';
import { mix } from '../action/select';
import { NONE } from '../memory/arena';
import { NETWORK_IPV4 } from '../packet/frame';
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, PROTO_TCP, PROTO_UDP } from '../packet/headers';
import {
  CONNECTION_DNAT,
  CONNECTION_REVERSED,
  CONNECTION_SNAT,
  Connection,
  connectionAt,
  connectionNumber,
  ORIGINAL,
  REPLY,
  tupleOf,
} from './connection';
import { reserve } from './create';
import { Expectation } from './expectation';
import { lookUp } from './table';
import { copyTuple, hashTuple, isSameTuple, Tuple } from './tuple';

/**
 * What an action asks for: ten words, as they stand among those of a program.
 *
 *      0       4               20              36      38
 *     ┌───────┬───────────────┬───────────────┬───────┬───────┐
 *     │ flags │ first address │ last address  │ first   last  │
 *     │       │               │               │ port    port  │
 *     └───────┴───────────────┴───────────────┴───────┴───────┘
 *
 * Neither last is before its first. Addresses are in network order, ports in host order; an IPv4 address is the
 * first four of its bytes, the others are 0. If all of the first address is 0, packets keep theirs, and get
 * another port when they have to.
 */
@unmanaged
export class NatRequest {
  flags: u32; // NAT_…
  firstAddress: u32; // first of four words
  firstAddress4: u32;
  firstAddress8: u32;
  firstAddress12: u32;
  lastAddress: u32;
  lastAddress4: u32;
  lastAddress8: u32;
  lastAddress12: u32;
  firstPort: u16;
  lastPort: u16;
}

const MOST_ATTEMPTS: u64 = 128;
const FEWEST_ATTEMPTS: u64 = 8;
const MOST_ADDRESSES: u64 = 0x100000000; // of a range of IPv6 the others are not used

// The space that is searched: this thread's own.
let addressPlace: usize = 0; // where in the reply tuple it goes
let firstAddress: usize = 0; // where it stands
let addresses: u64 = 0;
let pickedAddress: u64 = 0; // counted from the first
let triedAddresses: u64 = 0; // from the picked one on
let portPlace: usize = 0;
let firstPort: u32 = 0;
let ports: u64 = 0;
let pickedPort: u64 = 0;
let isTrial: bool = false; // whether a tuple is only looked for, and not taken
let replaced: u32 = NONE; // number of a connection that is only tried to be ended: its tuples are free

/**
 * Gives connection `number`, whose original tuple is filled and whose reply tuple is that one's reverse, the
 * reply tuple that the request leads to, and reserves it. False when every one that was tried was taken: then
 * its reply tuple is the last of them.
 */
export function chooseTranslation(number: u32, request: NatRequest): bool {
  return choose(connectionAt(number), request);
}

/**
 * The same for a record that becomes no connection: it gets what it would be given now, and nothing is reserved. Before
 * it, connection `ended` would be removed; NONE: none.
 */
export function tryTranslation(connection: Connection, request: NatRequest, ended: u32): bool {
  isTrial = true;
  replaced = ended;
  const isFound = choose(connection, request);
  isTrial = false;
  replaced = NONE;
  return isFound;
}

function choose(connection: Connection, request: NatRequest): bool {
  const original = tupleOf(connection, ORIGINAL);
  const reply = tupleOf(connection, REPLY);
  const pick = request.flags & NAT_RANDOM ? drawWord() : mix(hashTuple(original), 0);
  spanAddresses(request, original, reply, pick);
  const hasPort = hasPorts(original) || hasId(original);
  const isSource = (request.flags & NAT_SOURCE) != 0;
  const isGiven = (request.flags & NAT_HAS_PORTS) != 0 && (isSource ? hasPort : hasPorts(original));
  if (isGiven) spanGivenPorts(request, original, reply, pick);
  else keepPorts(original, reply);
  if (search(connection)) return true;
  if (!hasPort || (isSource && isGiven)) return false;
  spanLikePorts(original, reply);
  return search(connection);
}

/**
 * The same for a connection that its parent announced: its packets go as those of one of the parent's directions, and
 * are translated as those are, to the port that is real. Only their source port may have to be another.
 */
export function followParent(number: u32, expectation: Expectation): bool {
  const alike = tupleOf(connectionAt(expectation.parent), expectation.direction ^ 1);
  const connection = connectionAt(number);
  const original = tupleOf(connection, ORIGINAL);
  const reply = tupleOf(connection, REPLY);
  copyTuple(reply, alike);
  reply.tpSrc = expectation.realPort;
  addressPlace = changetype<usize>(reply) + offsetof<Tuple>('dstLow');
  firstAddress = changetype<usize>(alike) + offsetof<Tuple>('dstLow');
  addresses = 1;
  pickedAddress = 0;
  triedAddresses = 1;
  keepPorts(original, reply);
  if (search(connection)) return true;
  spanLikePorts(original, reply);
  return search(connection);
}

function hasPorts(tuple: Tuple): bool {
  const proto = tuple.proto;
  return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

/** Whether it is ICMP's, whose identifier does for a source port. */
function hasId(tuple: Tuple): bool {
  return tuple.proto == (tuple.l3 == NETWORK_IPV4 ? PROTO_ICMP : PROTO_ICMPV6);
}

function drawWord(): u64 {
  return ((<u64>draw()) << 32) | draw();
}

/** The address that packets of the original direction get as source is the destination of replies. */
function spanAddresses(request: NatRequest, original: Tuple, reply: Tuple, pick: u64): void {
  const isSource = (request.flags & NAT_SOURCE) != 0;
  addressPlace =
    changetype<usize>(reply) + (isSource ? offsetof<Tuple>('dstLow') : offsetof<Tuple>('srcLow'));
  firstAddress = changetype<usize>(request) + offsetof<NatRequest>('firstAddress');
  addresses = 1;
  if (request.flags & NAT_HAS_ADDRESS && v128.any_true(v128.load(firstAddress))) {
    addresses = countAddresses(request, original.l3);
  } else {
    firstAddress =
      changetype<usize>(original) + (isSource ? offsetof<Tuple>('srcLow') : offsetof<Tuple>('dstLow'));
  }
  const isPersistent = (request.flags & NAT_PERSISTENT) != 0;
  pickedAddress = (isPersistent ? mix(original.srcLow, original.srcHigh) : pick) % addresses;
  triedAddresses = isPersistent ? 1 : addresses;
}

function countAddresses(request: NatRequest, l3: u8): u64 {
  const first = changetype<usize>(request) + offsetof<NatRequest>('firstAddress');
  const last = changetype<usize>(request) + offsetof<NatRequest>('lastAddress');
  if (l3 == NETWORK_IPV4) return <u64>(bswap<u32>(load<u32>(last)) - bswap<u32>(load<u32>(first))) + 1;
  const low = bswap<u64>(load<u64>(first, 8));
  const lastLow = bswap<u64>(load<u64>(last, 8));
  const borrow: u64 = lastLow < low ? 1 : 0;
  if (bswap<u64>(load<u64>(last)) - bswap<u64>(load<u64>(first)) != borrow) return MOST_ADDRESSES;
  return min(lastLow - low, MOST_ADDRESSES - 1) + 1;
}

/** Both ports stay what they are. */
function keepPorts(original: Tuple, reply: Tuple): void {
  portPlace = sourcePortPlace(original, reply);
  firstPort = bswap<u16>(original.tpSrc);
  ports = 1;
  pickedPort = 0;
}

function spanGivenPorts(request: NatRequest, original: Tuple, reply: Tuple, pick: u64): void {
  portPlace =
    request.flags & NAT_SOURCE
      ? sourcePortPlace(original, reply)
      : changetype<usize>(reply) + offsetof<Tuple>('tpSrc');
  firstPort = request.firstPort;
  ports = <u64>request.lastPort - firstPort + 1;
  pickedPort = (pick >>> 32) % ports;
}

/** Source ports that are as good as the sender's: privileged ones, or those that systems give to clients. */
function spanLikePorts(original: Tuple, reply: Tuple): void {
  portPlace = sourcePortPlace(original, reply);
  const own = <u32>bswap<u16>(original.tpSrc);
  firstPort = own < 512 ? 1 : own < 1024 ? 600 : 1024;
  ports = own < 512 ? 511 : own < 1024 ? 424 : 64512; // up to 511, 1023, 65535
  pickedPort = own < firstPort ? 0 : <u64>(own - firstPort) + 1;
}

/** Where replies have the port or identifier that packets of the original direction have as their source. */
function sourcePortPlace(original: Tuple, reply: Tuple): usize {
  return changetype<usize>(reply) + (hasId(original) ? offsetof<Tuple>('tpSrc') : offsetof<Tuple>('tpDst'));
}

/** Tries candidates until one is the connection's. */
function search(connection: Connection): bool {
  const candidates = triedAddresses * ports;
  let attempts = min(candidates, MOST_ATTEMPTS);
  let candidate: u64 = 0;
  while (true) {
    for (let n = attempts; n != 0; n--) {
      put(connection, candidate);
      if (claim(connection)) return true;
      candidate = candidate + 1 == candidates ? 0 : candidate + 1;
    }
    if (attempts == candidates || attempts == FEWEST_ATTEMPTS) return false;
    attempts >>= 1;
    candidate = drawWord() % candidates;
  }
}

/** Writes a candidate to the connection's reply tuple. */
function put(connection: Connection, candidate: u64): void {
  const address = (pickedAddress + candidate / ports) % addresses;
  if (tupleOf(connection, ORIGINAL).l3 == NETWORK_IPV4) {
    store<u32>(addressPlace, bswap<u32>(bswap<u32>(load<u32>(firstAddress)) + <u32>address));
  } else {
    const first = bswap<u64>(load<u64>(firstAddress, 8));
    const low = first + address;
    const high = bswap<u64>(load<u64>(firstAddress)) + (low < first ? 1 : 0);
    store<u64>(addressPlace, bswap<u64>(high));
    store<u64>(addressPlace, bswap<u64>(low), 8);
  }
  store<u16>(portPlace, bswap<u16>(<u16>(firstPort + <u32>((pickedPort + candidate) % ports))));
}

/** Takes the reply tuple for the connection, if nobody has it: nor its own packets, of a host that talks to itself. */
function claim(connection: Connection): bool {
  const original = tupleOf(connection, ORIGINAL);
  const reply = tupleOf(connection, REPLY);
  const translated = translationOf(original, reply);
  if (translated == 0) return !isOthers(reply);
  if (isSameTuple(original, reply)) return false;
  if (isTrial ? isOthers(reply) : !reserve(connectionNumber(connection))) return false;
  connection.flags |= translated | CONNECTION_REVERSED;
  return true;
}

function isOthers(tuple: Tuple): bool {
  const handle = lookUp(tuple, hashTuple(tuple));
  return handle != NONE && handle >>> 1 != replaced;
}

/** CONNECTION_SNAT and CONNECTION_DNAT, as these two say that the connection is translated. */
function translationOf(original: Tuple, reply: Tuple): u8 {
  const isQuery = hasId(original);
  const source =
    reply.dstLow != original.srcLow ||
    reply.dstHigh != original.srcHigh ||
    (isQuery ? reply.tpSrc : reply.tpDst) != original.tpSrc;
  const destination =
    reply.srcLow != original.dstLow ||
    reply.srcHigh != original.dstHigh ||
    (!isQuery && reply.tpSrc != original.tpDst);
  return (source ? CONNECTION_SNAT : 0) | (destination ? CONNECTION_DNAT : 0);
}
