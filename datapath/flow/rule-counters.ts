/**
 * What each rule of the tables has been credited with, by the number that the tables' owner gave it.
 *
 * Written by every thread that credits, with atomic operations, and only ever added to: who gives a number to another
 * rule notes what it had counted by then, when no flow has it among its effects any more (src/upcall/rule-numbers.ts).
 * Behind those of rules come those of tables, of packets for which they had no rule. Read by TypeScript (src/observe.ts).
 */
import { map } from '../memory/arena';

@unmanaged
export class RuleCounters {
  packets: u64;
  bytes: u64;
  usedMs: f64; // of the last packet; only grows. The bits of numbers that are not negative order as they do
}
export const RULE_COUNTERS_STRIDE: u32 = 32;

function countersAt(rule: u32): usize {
  return map.ruleCounters + <usize>(rule * RULE_COUNTERS_STRIDE);
}

/** Credits a rule with packets that took it, the last at `usedMs`. A number that is no rule's is passed over. */
export function creditRule(rule: u32, packets: u64, bytes: u64, usedMs: f64): void {
  if (rule >= map.ruleCount) return;
  const counters = countersAt(rule);
  atomic.add<u64>(counters, packets);
  atomic.add<u64>(counters + offsetof<RuleCounters>('bytes'), bytes);
  const place = counters + offsetof<RuleCounters>('usedMs');
  const used = reinterpret<u64>(usedMs);
  for (let before = atomic.load<u64>(place); before < used; ) {
    const found = atomic.cmpxchg<u64>(place, before, used);
    if (found == before) return;
    before = found;
  }
}

/** The same for TypeScript, where numbers of 64 bits would be garbage each time. */
export function creditPackets(rule: u32, packets: u32, bytes: u32, usedMs: f64): void {
  creditRule(rule, packets, bytes, usedMs);
}
