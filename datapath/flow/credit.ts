/**
 * Credits what flows have counted: the difference between a flow's counters, of all threads, and what of them was
 * credited before. Every packet that a flow counts is credited once, whenever `credit` is called in between; the last
 * time is when the record's epochs have passed and nobody can count on it any more (retire.ts).
 */
import { COUNT_UKEY_INVALID_STAT_RESET, count, FLOW_COUNTERS_STRIDE, FlowCounters } from '../counters';
import { map } from '../memory/arena';
import { creditEffects } from './effects';
import { lifeAt } from './life';

/** What `thread` has counted on a flow. */
export function countersOf(thread: u32, number: u32): FlowCounters {
  const at = map.flowCounters + <usize>((thread * map.flowCount + number) * FLOW_COUNTERS_STRIDE);
  return changetype<FlowCounters>(at);
}

/**
 * Credits the packets that a flow has counted since the last time. Returns how many that are. Under its life's lock, or
 * as the only one who has the record.
 */
export function credit(number: u32): u64 {
  const life = lifeAt(number);
  let packets: u64 = 0;
  let bytes: u64 = 0;
  let usedMs: f64 = life.usedMs;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const counters = countersOf(thread, number);
    packets += counters.packets;
    bytes += counters.bytes;
    usedMs = max<f64>(usedMs, counters.usedMs);
  }
  const packetsBefore = life.packets;
  const bytesBefore = life.bytes;
  if (packets == packetsBefore && bytes == bytesBefore) return 0;
  // Before the effects: what a thread dies over is credited too little, never twice.
  life.packets = packets;
  life.bytes = bytes;
  life.usedMs = usedMs;
  if (packets < packetsBefore || bytes < bytesBefore) {
    count(COUNT_UKEY_INVALID_STAT_RESET, 1);
    return 0;
  }
  creditEffects(life, packets - packetsBefore, bytes - bytesBefore, usedMs);
  return packets - packetsBefore;
}

/** A record's counters start at zero; nobody counts on it while it is not in the datapath. */
export function clearCounters(number: u32): void {
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    memory.fill(changetype<usize>(countersOf(thread, number)), 0, FLOW_COUNTERS_STRIDE);
  }
}
