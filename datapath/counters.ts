/**
 * What each thread counts. Counters are 64-bit, each written by its thread alone, in a block of lines of
 * its own; readers sum the blocks. A reader may see a batch half counted, never a number torn in two.
 *
 *     COUNT_…             events                          0 .. 63
 *     DROPPED +           packets, by reason (drop.ts)   64 .. 127
 *     COPIES_DROPPED +    copies, by reason             128 .. 191
 *     COVERAGE +          of the lives of flows         192 .. 223
 *     EVICTIONS +         flows, by reason              224 .. 255
 *
 * Every frame has one fate. For the frames that came in (not the copies that several outputs need):
 * received = forwarded + dropped + on the way. For copies: copied = forwarded + dropped + on the way.
 */
import { map } from './memory/arena';
import { add, tallyAt } from './memory/tally';
import { self } from './memory/thread';

export const COUNT_RECEIVED: u32 = 0;
export const COUNT_FORWARDED: u32 = 1;
export const COUNT_COPIED: u32 = 2;
export const COUNT_COPIES_FORWARDED: u32 = 3;
export const COUNT_BATCHES: u32 = 4;
export const COUNT_CACHE_HITS: u32 = 5;
export const COUNT_CLASSIFIER_HITS: u32 = 6;
export const COUNT_UPCALLS: u32 = 7;
export const COUNT_SLEEPS: u32 = 8;
export const COUNT_SEGMENTED: u32 = 9; // frames cut into segments in software
export const COUNT_CHECKSUMS_COMPLETED: u32 = 10;
export const COUNT_UPCALLS_HANDLED: u32 = 11; // by the handler; the others wait for it
export const COUNT_JOINED: u32 = 12; // frames taken into others for a port that takes whole segments
export const COUNT_CT_SHARD_LOCKS: u32 = 13; // taken to change the connections' table
export const COUNT_CT_CREATED: u32 = 14; // connections
export const COUNT_CT_REMOVED: u32 = 15; // connections, by reason: 15 .. 18 (conntrack/table.ts)
export const COUNT_CT_INVALID: u32 = 22; // packets that belong to no connection and begin none
export const COUNT_CT_FULL: u32 = 19; // packets that were to begin a connection: there was no room for one
export const COUNT_CT_ZONE_FULL: u32 = 20; // … its zone's limit was reached
export const COUNT_CT_NAT_EXHAUSTED: u32 = 21; // … there was no address and port left to translate to
export const COUNT_WAKE_UPS: u32 = 24; // out of sleeps, by work that came
export const COUNT_THREAD_RESTARTS: u32 = 25; // how often it died and was started anew
export const COUNT_CT_IPV4_CHECKSUM: u32 = 40; // packets that were not tracked: wrong checksum of the IPv4 header
export const COUNT_CT_CHECKSUM: u32 = 41; // … of the transport
export const COUNT_CT_TCP_FLAGS: u32 = 42; // segments with flags that no stack sends
export const COUNT_CT_TCP_SEQUENCE: u32 = 43; // segments that do not fit their connection
export const COUNT_CT_TCP_UNCHECKED: u32 = 44; // … and were let pass, as they are not to be checked
export const COUNT_CT_REFUSED_LINES: u32 = 45; // packets of FTP that announce what is not to be, or nothing that is whole
// Fragments that connection tracking looked at: IPv4; one further, IPv6.
export const COUNT_FRAGMENTS_ACCEPTED: u32 = 48; // to wait for the rest of their datagram
export const COUNT_FRAGMENTS_COMPLETED: u32 = 50; // … whose datagram has come
export const COUNT_FRAGMENTS_EXPIRED: u32 = 52; // … whose time was over before
export const COUNT_FRAGMENTS_TOO_SMALL: u32 = 54; // refused, and so not tracked
export const COUNT_FRAGMENTS_OVERLAPPING: u32 = 56; // they have bytes that had come already
export const COUNT_FRAGMENTS_NO_ROOM: u32 = 58; // refused, as so many were waiting

// Of the lives of flows, by the names that Open vSwitch gives them.
export const COUNT_DUMPED_DUPLICATE_FLOW: u32 = 192; // a dump came by a flow that it had seen
export const COUNT_DUMPED_INCONSISTENT_FLOW: u32 = 193; // … one that could not be changed, and goes
export const COUNT_DUMPED_NEW_FLOW: u32 = 194; // … one that was made since the dump began
export const COUNT_HANDLER_DUPLICATE_UPCALL: u32 = 195; // a flow was to be installed that is there
export const COUNT_REVALIDATE_MISSED_DP_FLOW: u32 = 196; // the sweep found a flow that the dump had missed
export const COUNT_REVALIDATE_MISSING_DP_FLOW: u32 = 197; // … one that dumps no longer find in the datapath
export const COUNT_UKEY_DP_CHANGE: u32 = 198; // a flow went to another datapath: there is but one
export const COUNT_UKEY_INVALID_STAT_RESET: u32 = 199; // a flow's counters went back
export const COUNT_UKEY_REPLACE_CONTENTION: u32 = 200; // an evicted flow was to be replaced while somebody had it
export const COUNT_UPCALL_FLOW_LIMIT_GREW: u32 = 201; // how the limit of flows changed: counted by TypeScript
export const COUNT_UPCALL_FLOW_LIMIT_HIT: u32 = 202; // a flow was not installed, since there are too many
export const COUNT_UPCALL_FLOW_LIMIT_KILL: u32 = 203;
export const COUNT_UPCALL_FLOW_LIMIT_REDUCED: u32 = 204;
export const COUNT_UPCALL_FLOW_LIMIT_SCALED: u32 = 205;
export const COUNT_UPCALL_UKEY_CONTENTION: u32 = 206; // a flow was passed over while somebody had it
export const COUNT_UPCALL_UKEY_REPLACE: u32 = 207; // a flow took the place of an evicted one
export const COUNT_BAD_MOVES: u32 = 208; // moves that no life makes were tried, and refused (flow/life.ts)

export const COUNTERS: u32 = 256;
export const DROPPED: u32 = 64;
export const COPIES_DROPPED: u32 = 128;
export const COVERAGE: u32 = 192;
export const COVERAGE_COUNTERS: u32 = 16;
export const EVICTIONS: u32 = 224;

/** One thread's traffic of one port; the rest of what `ip -s link` tells, the kernel counts. */
@unmanaged
export class PortCounters {
  rxPackets: u64;
  rxBytes: u64;
  txPackets: u64;
  txBytes: u64;
  rxErrors: u64; // what came and cannot be a frame: it never was received
  txErrors: u64; // what the kernel refused
  txDropped: u64; // what was too long, or found no room
  upcalls: u64; // frames that came in here and were passed to a handler: misses, and those for the controller
  upcallsRefused: u64; // what was not, as the port had its share of the queue (share.ts)
}
export const PORT_COUNTERS_STRIDE: u32 = 128;

/** One thread's use of one flow. */
@unmanaged
export class FlowCounters {
  packets: u64;
  bytes: u64;
  usedMs: f64;
  tcpFlags: u32;
}
export const FLOW_COUNTERS_STRIDE: u32 = 32;

export function count(which: u32, n: u64): void {
  add(tallyAt(map.counters, COUNTERS, self.number, which), n);
}

/** Adds one: for TypeScript, where a number of 64 bits would be garbage each time. */
export function countOne(which: u32): void {
  count(which, 1);
}

/** Sum over all threads. */
export function sumOf(which: u32): u64 {
  let sum: u64 = 0;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    sum += load<u64>(map.counters + <usize>((thread * COUNTERS + which) << 3));
  }
  return sum;
}

export function countDrop(reason: u32, isCopy: bool, n: u64): void {
  count((isCopy ? COPIES_DROPPED : DROPPED) + reason, n);
}

export function portCounters(port: u32): PortCounters {
  return changetype<PortCounters>(
    map.portCounters + <usize>((self.number * map.portCount + port) * PORT_COUNTERS_STRIDE),
  );
}

export function flowCounters(flow: u32): FlowCounters {
  return changetype<FlowCounters>(
    map.flowCounters + <usize>((self.number * map.flowCount + flow) * FLOW_COUNTERS_STRIDE),
  );
}
