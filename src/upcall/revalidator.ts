/**
 * A revalidator: goes over its share of the flows in rounds with the others, each round in two phases with a barrier
 * behind each (datapath/revalidation.ts). The dump credits what flows have counted, evicts those that are idle or too
 * many, and has those looked at again whose translation may have changed; the sweep removes what was evicted.
 *
 *     leader    wait ─▶ begin ─┐ dump ─┐ sweep ─┐ how long did it take? so many flows may there be ─▶ wait …
 *     others           wait ───┤ dump ─┤ sweep ─┤ wait …
 *
 * Rounds go in slices, so that whoever asks a thread something does not wait for a whole one.
 */
import {
  COUNT_UPCALL_FLOW_LIMIT_KILL,
  type Datapath,
  type DumpOrders,
  NONE,
  Observer,
  PHASE_BEGIN,
  PHASE_DUMP,
  PHASES,
  Rounds,
  rolesOf,
  STAGE_DUMP,
  STAGE_SWEEP,
} from '../datapath.ts';
import type { TableChange } from './change.ts';
import { nextFlowLimit } from './flow-limit.ts';
import { Recheck } from './recheck.ts';
import type { Slow } from './slow.ts';

const STEPS = { dump: ['dumpStep', STAGE_DUMP], sweep: ['sweepStep', STAGE_SWEEP] } as const;
/** Rounds for changes begin so far apart at least. */
const CHANGED_ROUND_MS = 5;

export class Revalidator {
  readonly #slow: Slow;
  readonly #datapath: Datapath;
  readonly #rounds: Rounds;
  readonly #observer: Observer;
  readonly #recheck: Recheck;
  readonly #index: number;
  /** Where this phase goes on. */
  #from = 0;
  #flows = 0;
  /** Whether there are so many flows that all go. */
  #isKilling = false;
  // Of the leader, about the round that it began.
  #beganMs = Number.NEGATIVE_INFINITY;
  /** Whether the round that goes on is one that this thread began. */
  #isOpen = false;
  #isPurge = false;
  #wereAllThere = false;
  #flowsAtBegin = 0;
  #troubles = 0;
  /** What the last round was for. */
  #tables = -1;
  #macs = -1;
  /** Rounds that saw to every flow, and up to how many somebody waits for. */
  #completed = 0;
  #wanted = 0;

  /** @param index which revalidator this is, from 0 */
  constructor(slow: Slow, index: number) {
    this.#slow = slow;
    this.#datapath = slow.datapath;
    this.#rounds = new Rounds(slow.datapath.arena);
    this.#observer = new Observer(slow.datapath.arena);
    this.#recheck = new Recheck(slow);
    this.#index = index;
  }

  /** How many there are; without threads of their own, one. */
  get #revalidators(): number {
    return Math.max(rolesOf(this.#datapath.arena.limits).revalidators, 1);
  }

  /** From now on takes part. */
  begin(): void {
    this.#datapath.exports.joinRevalidation();
  }

  follow(change: TableChange): void {
    this.#slow.replica.follow(change);
  }

  /** Wants every flow seen to from now on; what to ask `has` for. */
  want(): number {
    const wanted = this.#completed + (this.#isOpen ? 2 : 1);
    this.#wanted = Math.max(this.#wanted, wanted);
    return wanted;
  }

  /** Whether what `want` gave has come to pass. */
  has(wanted: number): boolean {
    return this.#completed >= wanted;
  }

  /** Does a slice of what there is to do; returns how much that was. */
  round(nowMs: number): number {
    const { exports } = this.#datapath;
    this.#datapath.setClock(nowMs);
    exports.enter();
    const done = exports.waitsForOthers() ? 0 : this.#work(nowMs);
    exports.leave();
    exports.reclaim();
    return done;
  }

  /** When `round` has something to do that nobody announces. */
  dueMs(): number {
    const { exports } = this.#datapath;
    if (exports.waitsForOthers()) return Number.POSITIVE_INFINITY;
    return this.#phase === PHASE_BEGIN && exports.leadsRevalidation() ? this.#roundDueMs() : 0;
  }

  get #phase(): number {
    return (this.#datapath.exports.revalidationPhase() >>> 0) % PHASES;
  }

  #work(nowMs: number): number {
    const phase = this.#phase;
    if (phase === PHASE_BEGIN) return this.#wait(nowMs);
    const [step, stage] = phase === PHASE_DUMP ? STEPS.dump : STEPS.sweep;
    const beganMs = performance.now();
    const { due, seen, next } = this.#datapath[step](this.#orders(), this.#from);
    this.#datapath.noteStage(stage, seen, performance.now() - beganMs);
    this.#recheck.all(due, nowMs);
    this.#flows += seen;
    this.#from = next;
    if (next === NONE) {
      if (phase === PHASE_DUMP) this.#rounds.noteFlows(this.#datapath.thread, this.#flows);
      this.#endPhase();
    }
    return 1;
  }

  /** What a slice goes by: there may be more flows than there may be by now. */
  #orders(): DumpOrders {
    const rounds = this.#rounds;
    const { liveFlows, flowLimit } = rounds;
    this.#noteKilling(liveFlows > 2 * flowLimit);
    return {
      revalidators: this.#revalidators,
      index: this.#index,
      version: this.#slow.replica.version,
      learned: this.#slow.macs.generation,
      killsAll: this.#isKilling,
      purges: rounds.get('isPurging') !== 0,
      minPacketsPerSecond: rounds.get('minRevalidatePps'),
      maxIdleMs: rounds.idleMs,
      lastDumpMs: rounds.get('dumpMs'),
      maxDumpMs: rounds.get('maxRevalidatorMs'),
    };
  }

  #noteKilling(isKilling: boolean): void {
    if (isKilling && !this.#isKilling) this.#datapath.exports.countOne(COUNT_UPCALL_FLOW_LIMIT_KILL);
    this.#isKilling = isKilling;
  }

  /** Between rounds: the leader begins one when it is due, the others leave that to it. */
  #wait(nowMs: number): number {
    if (this.#datapath.exports.leadsRevalidation()) {
      if (this.#isOpen) this.#endRound(nowMs);
      this.#slow.macs.expire(nowMs);
      this.#slow.names.maintain();
      if (nowMs < this.#roundDueMs()) return 0;
      this.#beginRound(nowMs);
    } else {
      this.#isOpen = false; // a round that it began, and then another came to lead, is not its to end
    }
    this.#endPhase();
    return 1;
  }

  #endPhase(): void {
    this.#from = 0;
    this.#flows = 0;
    this.#datapath.exports.endPhase();
  }

  #roundDueMs(): number {
    if (this.#wanted > this.#completed) return this.#beganMs;
    if (this.#rounds.get('isPaused') !== 0 || this.#areNone) return Number.POSITIVE_INFINITY;
    const { replica, macs } = this.#slow;
    const isChanged = replica.version !== this.#tables || macs.generation !== this.#macs;
    if (isChanged) return this.#beganMs + CHANGED_ROUND_MS;
    return this.#beganMs + Math.min(this.#rounds.get('maxIdleMs'), this.#rounds.get('maxRevalidatorMs'));
  }

  /** No flow is there, and the last round has found none either: it has removed what the one before left to it. */
  get #areNone(): boolean {
    return this.#rounds.liveFlows === 0 && this.#flowsAtBegin === 0;
  }

  #beginRound(nowMs: number): void {
    this.#isOpen = true;
    this.#beganMs = nowMs;
    this.#isPurge = this.#rounds.get('isPurging') !== 0;
    this.#tables = this.#slow.replica.version;
    this.#macs = this.#slow.macs.generation;
    this.#flowsAtBegin = this.#rounds.liveFlows;
    this.#rounds.noteLive(this.#flowsAtBegin);
    this.#troubles = this.#countTroubles();
    this.#wereAllThere = this.#areAllThere;
    this.#datapath.exports.beginDump();
  }

  /** How often something came to pass that may keep a round from seeing to every flow. */
  #countTroubles(): number {
    return this.#rounds.get('deaths') + this.#observer.coverage().upcall_ukey_contention!;
  }

  #endRound(nowMs: number): void {
    this.#isOpen = false;
    const rounds = this.#rounds;
    const tookMs = nowMs - this.#beganMs;
    rounds.set('dumpMs', Math.max(Math.round(tookMs), 1));
    rounds.set('rounds', rounds.get('rounds') + 1);
    this.#adaptFlowLimit(tookMs);
    if (!this.#wereAllThere || this.#countTroubles() !== this.#troubles) return;
    this.#completed++;
    if (this.#isPurge) rounds.set('isPurging', 0);
  }

  #adaptFlowLimit(tookMs: number): void {
    const { flowLimit } = this.#rounds;
    const most = this.#rounds.get('mostFlows');
    const { limit, event } = nextFlowLimit(flowLimit, this.#flowsAtBegin, tookMs, most);
    this.#rounds.adaptFlowLimit(flowLimit, limit);
    if (event !== undefined) this.#datapath.exports.countOne(event);
  }

  /** One that joins in the middle of a round may leave out its share: so when a round begins. */
  get #areAllThere(): boolean {
    return this.#datapath.exports.revalidatorsThere() === this.#revalidators;
  }
}
