/**
 * Looks at flows again that a dump or a sweep has listed: the tables are walked for the packet that each was made for.
 *
 *     more bits decide now than its mask has ──▶ evicted
 *     another program                        ──▶ another flow takes its place; without room for it: inconsistent, and
 *                                                goes with the sweep
 *     the same                               ──▶ kept; it may match on more than it would have to by now
 */
import {
  type Datapath,
  DUE_TELL,
  DUE_TRANSLATE,
  type DueFlow,
  EVICT_AVOID_CACHING,
  EVICT_FLOW_WILDCARDED,
  KEY_SIZE,
  Lives,
  MOST_EFFECTS,
  NONE,
  Observer,
  STAGE_TRANSLATE,
} from '../datapath.ts';
import type { Slow } from './slow.ts';
import type { Translated } from './translator.ts';

export class Recheck {
  readonly #slow: Slow;
  readonly #datapath: Datapath;
  readonly #observer: Observer;
  readonly #lives: Lives;
  readonly #key = new Uint8Array(KEY_SIZE);

  constructor(slow: Slow) {
    const { arena } = slow.datapath;
    this.#slow = slow;
    this.#datapath = slow.datapath;
    this.#observer = new Observer(arena);
    this.#lives = new Lives(arena);
  }

  /** Looks at each of these flows. */
  all(flows: readonly DueFlow[], nowMs: number): void {
    if (flows.length === 0) return;
    const beganMs = performance.now();
    for (const due of flows) this.#look(due, nowMs);
    this.#datapath.noteStage(STAGE_TRANSLATE, flows.length, performance.now() - beganMs);
  }

  #look({ flow, serial, why }: DueFlow, nowMs: number): void {
    this.#lives.copyKey(flow, this.#key);
    const translated = this.#slow.translator.translate(this.#key, nowMs, false);
    if (why & DUE_TELL) this.#tell(flow, translated);
    if (why & DUE_TRANSLATE) this.#bringUpToDate(flow, serial, translated);
  }

  #tell(flow: number, translated: Translated): void {
    const { tcpFlags, usedMs } = this.#observer.flow(flow);
    const told = this.#slow.translator.toldBy(translated, tcpFlags, usedMs);
    if (told) this.#slow.tell(told);
  }

  #bringUpToDate(flow: number, serial: number, { mask, program, about }: Translated): void {
    const evict = (reason: number) => this.#datapath.exports.evictFlow(flow, serial, reason);
    if (!this.#datapath.isWithinMask(flow, mask)) evict(EVICT_FLOW_WILDCARDED);
    else if (about.effects.length > MOST_EFFECTS) evict(EVICT_AVOID_CACHING);
    else if (this.#datapath.renewFlow(flow, serial, program, about) === NONE) {
      this.#datapath.exports.failFlow(flow, serial);
    }
  }
}
