/**
 * What programs name by number: packet-ins, and states that packets wait in for another round. A megaflow keeps
 * the numbers that its program names and, when its packets come from another round, the one of their state.
 */
import { Numbers } from '../table/numbers.ts';
import type { Frozen, Punt, TranslationContext } from '../table/translation.ts';

const PUNTS_MAX = 65_536;
const FROZEN_MAX = 65_535; // numbers have 16 bits in the flow key
/** A number that nobody keeps is good for so long at least: longer than any packet is under way. */
const SWEEP_MS = 5_000;

/** The numbers that one translation came by. */
export interface Named {
  readonly punts: Set<number>;
  readonly frozen: Set<number>;
}

export class Names {
  readonly #punts = new Numbers<Punt>(PUNTS_MAX);
  readonly #frozen = new Numbers<Frozen>(FROZEN_MAX);
  #sweptMs = 0;

  /** What a translation is given, and the numbers that it will have come by. */
  forTranslation(): { named: Named; context: Pick<TranslationContext, 'punt' | 'freeze' | 'thaw'> } {
    const named: Named = { punts: new Set(), frozen: new Set() };
    const noted = (set: Set<number>, number: number | undefined) => {
      if (number !== undefined) set.add(number);
      return number;
    };
    const context: Pick<TranslationContext, 'punt' | 'freeze' | 'thaw'> = {
      punt: (punt) => noted(named.punts, this.#punts.numberOf(punt)),
      freeze: (frozen) => noted(named.frozen, this.#frozen.numberOf(frozen)),
      thaw: (number) => {
        const frozen = this.#frozen.get(number);
        if (frozen) named.frozen.add(number);
        return frozen;
      },
    };
    return { named, context };
  }

  /** What a punted packet is; undefined when that is forgotten. */
  punt(number: number): Punt | undefined {
    return this.#punts.get(number);
  }

  retain({ punts, frozen }: Named): void {
    for (const number of punts) this.#punts.retain(number);
    for (const number of frozen) this.#frozen.retain(number);
  }

  release({ punts, frozen }: Named): void {
    for (const number of punts) this.#punts.release(number);
    for (const number of frozen) this.#frozen.release(number);
  }

  /** Forgets, now and then, what has not been needed for a while. */
  maintain(nowMs: number): void {
    if (nowMs < this.#sweptMs + SWEEP_MS) return;
    this.#sweptMs = nowMs;
    this.#punts.sweep();
    this.#frozen.sweep();
  }
}
