/**
 * Timeout policies: how long a connection in each state lasts without a packet. 256 policies of eleven timeouts.
 *
 *     policy 0   │ 0 │ 0 │ 900,000 │ …      milliseconds; 0 is the timeout that every policy begins with
 *     policy 1   │ 0 │ …
 *
 * A connection has the number of its policy, so a policy that changes holds for each from its next packet on.
 * Each timeout is written whole, with one store, by whoever sets policies; every thread reads them, with one load, and
 * takes no lock.
 */
import { map } from '../memory/arena';

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
export const TIMEOUT_COUNT: u32 = 11;

export const TIMEOUT_POLICIES: u32 = 256;

/** In the order of the numbers above, as in Open vSwitch. */
const DEFAULTS_MS: usize = memory.data<f64>([
  30e3, 30e3, 86_400e3, 900e3, 45e3, 30e3, 60e3, 60e3, 30e3, 60e3, 30e3,
]);

function timeoutAt(policy: u32, which: u32): usize {
  return map.timeouts + <usize>((policy * TIMEOUT_COUNT + which) << 3);
}

/** In milliseconds, of a policy below TIMEOUT_POLICIES. */
export function timeoutOf(policy: u16, which: u8): f64 {
  const ms = load<f64>(timeoutAt(policy, which));
  return ms != 0 ? ms : load<f64>(DEFAULTS_MS + ((<usize>which) << 3));
}

/** Sets one timeout of a policy; 0 ms makes it what it was at first. */
export function setTimeoutOf(policy: u16, which: u8, ms: f64): void {
  store<f64>(timeoutAt(policy, which), ms);
}
