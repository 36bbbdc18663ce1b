/** Rules: flows in force, with what they have seen. */
import type { Action } from './action.ts';
import type { Flow } from './parse.ts';

/** A flow in force. Times are in milliseconds of the switch clock. */
export interface Rule extends Flow {
  /** Never given to another rule. */
  readonly id: number;
  readonly createdMs: number;
  /** When it was added, changed or learned again; the hard time-out counts from then. */
  modifiedMs: number;
  /** Of its last packet that has been credited, or when it was added; the idle time-out counts from then. */
  usedMs: number;
  cookie: bigint;
  actions: readonly Action[];
  /** `fin_timeout` makes these shorter. */
  idleTimeoutS: number;
  hardTimeoutS: number;
  /** What the rule has seen; kept by `modify`. */
  packets: number;
  bytes: number;
}

/** Why a rule went. */
export type RemovalReason = 'idle' | 'hard' | 'delete' | 'eviction' | 'group' | 'meter';

/** A rule that went, and why. */
export interface Removal {
  readonly rule: Rule;
  readonly reason: RemovalReason;
}

const after = (startMs: number, seconds: number): number =>
  seconds === 0 ? Number.POSITIVE_INFINITY : startMs + seconds * 1000;

const hardDeadlineMs = ({ modifiedMs, hardTimeoutS }: Rule): number => after(modifiedMs, hardTimeoutS);
const idleDeadlineMs = ({ usedMs, idleTimeoutS }: Rule): number => after(usedMs, idleTimeoutS);

/** When a rule expires if it is not used until then; infinite when it stays. */
export const expiresMs = (rule: Rule): number => Math.min(hardDeadlineMs(rule), idleDeadlineMs(rule));

/** Why a rule has expired by `nowMs`; undefined when it has not. */
export function expiryReason(rule: Rule, nowMs: number): 'hard' | 'idle' | undefined {
  if (nowMs >= hardDeadlineMs(rule)) return 'hard';
  return nowMs >= idleDeadlineMs(rule) ? 'idle' : undefined;
}

/** Credits a rule with packets that took it, the last at `usedMs`. */
export function creditRule(rule: Rule, packets: number, bytes: number, usedMs: number): void {
  const { noPacketCounts, noByteCounts } = rule.flags;
  if (!noPacketCounts) rule.packets += packets;
  if (!noByteCounts) rule.bytes += bytes;
  rule.usedMs = Math.max(rule.usedMs, usedMs);
}
