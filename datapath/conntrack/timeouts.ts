/**
 * Timeouts: how long a connection in each state lasts without a packet. A zone has those of its policy.
 *
 *     zonePolicies    [ policy ] × 65,536       0: the default policy, which has no timeout of its own
 *     timeouts        policy 0   │ 30,000 │  30,000 │ … │ own    │      in milliseconds; `own`: which of them are the
 *                     policy 1   │ 30,000 │ 900,000 │ … │ 0b…010 │      policy's own, a bit each
 *                     …                                               256 in all, a line each; one with none is free
 *
 * Those that are not a policy's own are the default ones, so that one word says what holds; the arena is made with
 * them. Each zone with timeouts of its own has a policy for itself. It is looked up at each packet of a connection, so
 * what changes holds for all connections of the zone from their next packet on.
 *
 * One thread at a time sets timeouts; every thread reads them, with two loads, and takes no lock. A zone gets a
 * policy when that has a timeout, and loses it before that is cleared. A packet that is looked at in between goes by
 * what was before, or by what that policy says next; the next one does not.
 */
import { map, NONE } from '../memory/arena';
import { ZONES } from './zones';

export const TIMEOUT_TCP_SYN_SENT: u8 = 0;
export const TIMEOUT_TCP_SYN_RECV: u8 = 1;
export const TIMEOUT_TCP_ESTABLISHED: u8 = 2;
export const TIMEOUT_TCP_FIN_WAIT: u8 = 3;
export const TIMEOUT_TCP_TIME_WAIT: u8 = 4;
export const TIMEOUT_TCP_CLOSE: u8 = 5;
export const TIMEOUT_UDP_FIRST: u8 = 6;
export const TIMEOUT_UDP_SINGLE: u8 = 7;
export const TIMEOUT_UDP_MULTIPLE: u8 = 8;
export const TIMEOUT_ICMP_FIRST: u8 = 9;
export const TIMEOUT_ICMP_REPLY: u8 = 10;
export const TIMEOUT_COUNT: u8 = 11;

export const POLICIES: u32 = 256;
export const POLICY_STRIDE: u32 = 64;

/** Where a policy says which timeouts are its own: behind them. */
const POLICY_OWN: usize = (<usize>TIMEOUT_COUNT) << 2;

function policyAt(zone: u32): usize {
  return map.zonePolicies + <usize>zone;
}

function policyOf(zone: u32): u32 {
  return load<u8>(policyAt(zone));
}

function timeoutAt(policy: u32, which: u8): usize {
  return map.timeouts + <usize>(policy * POLICY_STRIDE) + ((<usize>which) << 2);
}

function ownAt(policy: u32): usize {
  return timeoutAt(policy, 0) + POLICY_OWN;
}

/** How long a connection lasts, in milliseconds. */
export function timeoutOf(zone: u32, which: u8): f64 {
  return <f64>load<u32>(timeoutAt(policyOf(zone), which));
}

/** A zone's own timeout in milliseconds; 0: it has none. */
export function ownTimeout(zone: u32, which: u8): u32 {
  const policy = policyOf(zone);
  const isOwn = (load<u32>(ownAt(policy)) >>> which) & 1;
  return isOwn ? load<u32>(timeoutAt(policy, which)) : 0;
}

/** That of zones that have none of their own. */
export function defaultTimeout(which: u8): u32 {
  return load<u32>(timeoutAt(0, which));
}

/** Gives a zone, of at most POLICIES - 1 that have any, a timeout of its own. */
export function setTimeoutOf(zone: u32, which: u8, ms: u32): void {
  const own = policyOf(zone);
  const policy = own != 0 ? own : freePolicy();
  store<u32>(timeoutAt(policy, which), ms);
  store<u32>(ownAt(policy), load<u32>(ownAt(policy)) | ((<u32>1) << which));
  store<u8>(policyAt(zone), <u8>policy);
}

/** Takes all that a zone has of its own. */
export function deleteTimeouts(zone: u32): void {
  const policy = policyOf(zone);
  store<u8>(policyAt(zone), 0);
  store<u32>(ownAt(policy), 0);
  for (let which: u8 = 0; which < TIMEOUT_COUNT; which++) {
    store<u32>(timeoutAt(policy, which), defaultTimeout(which));
  }
}

/** The first zone from `from` on that has a timeout of its own, or NONE. */
export function nextZoneWithTimeouts(from: u32): u32 {
  for (let zone = from; zone < ZONES; zone++) {
    if (policyOf(zone) != 0) return zone;
  }
  return NONE;
}

/** There is one: the caller sees to that. */
function freePolicy(): u32 {
  let policy: u32 = 1;
  while (load<u32>(ownAt(policy)) != 0) policy++;
  return policy;
}
