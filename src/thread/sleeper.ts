/**
 * How a thread sleeps and how it is woken.
 *
 * A thread with descriptors sleeps in poll(2) on them and its doorbell; others wait on a word of the arena,
 * which needs no system library. Whoever gives a sleeping thread work wakes it: the module itself when it
 * waits, `ringOthers` after a round when it polls.
 */
import type { Datapath } from '../datapath.ts';
import { Poller, ringDoorbell } from '../sys/poll.ts';

/** Doorbells by thread number; none where the system library is missing. */
export type Doorbells = readonly number[];

/**
 * A thread that has had nothing to do for this long sleeps. Waking it takes system calls on both sides, so one
 * that slept at once would pay them in every pause between two batches; one that spun for long would take the
 * processor from the very hosts that it waits for. Chosen on two cores, which all of them share, in 2026-11.
 */
const SPIN_MS = 0.05;
/** It looks around so often even when nothing is due. */
const LONGEST_SLEEP_MS = 1000;
/** … when it has retired flows: their last packets are credited when no batch can still count on them. */
const RETIRED_MS = 1;

/** What became of a thread that found nothing; `due`: there is something to do right now. */
export type Idle = 'spinning' | 'due' | 'slept';

export class Sleeper {
  readonly #datapath: Datapath;
  readonly #doorbells: Doorbells;
  #poller: Poller | undefined;
  #idleSinceMs = Number.NaN;

  constructor(datapath: Datapath, doorbells: Doorbells) {
    this.#datapath = datapath;
    this.#doorbells = doorbells;
  }

  /** From now on sleeps on these descriptors as well, and on no others. */
  watch(descriptors: readonly number[]): void {
    const doorbell = this.#doorbells[this.#datapath.thread]!;
    this.#poller = descriptors.length > 0 ? new Poller(doorbell, descriptors) : undefined;
  }

  /**
   * After a round that found nothing: sleeps if that has been so for a while, until `role` has something to do at
   * most. Asleep or not, the thread leaves its epoch, or flows could not be reclaimed while it goes round in
   * vain.
   */
  idle(role: { dueMs(): number }): Idle {
    this.#datapath.exports.leave();
    const nowMs = this.#datapath.now[0]!;
    if (Number.isNaN(this.#idleSinceMs)) this.#idleSinceMs = nowMs;
    if (nowMs - this.#idleSinceMs < SPIN_MS) return 'spinning';
    const longestMs = this.#datapath.hasRetired ? RETIRED_MS : LONGEST_SLEEP_MS;
    const timeoutMs = Math.min(role.dueMs() - nowMs, longestMs);
    if (timeoutMs <= 0) return 'due';
    if (!this.#poller) {
      this.#datapath.wait(role, longestMs);
    } else if (this.#datapath.beginPoll()) {
      this.#datapath.endSleep(this.#poller.sleep(timeoutMs));
    }
    this.#idleSinceMs = Number.NaN;
    return 'slept';
  }

  /** After a round that found work. */
  busy(): void {
    this.#idleSinceMs = Number.NaN;
  }

  /** Wakes the threads that this one has given work and that sleep in poll(2). */
  ringOthers(): void {
    const mask = this.#datapath.takeWakeMask();
    for (let rest = mask; rest !== 0; rest &= rest - 1) {
      ringDoorbell(this.#doorbells[31 - Math.clz32(rest & -rest)]!);
    }
  }
}
