/**
 * The numbers under which the datapath counts packets of rules. Counters of a number only go up: what it had counted
 * when a rule got it is taken off. A number of a rule that went is given out again only two rounds later, since what
 * flows had counted for it may still be credited, and then as late as can be.
 */
import type { Observer } from '../datapath.ts';
import { creditRule, type Rule } from '../table/rule.ts';

interface Numbered {
  readonly number: number;
  packets: number;
  bytes: number;
}

export class RuleNumbers {
  readonly #observer: Observer;
  readonly #limit: number;
  readonly #numbered = new Map<Rule, Numbered>();
  readonly #byNumber = new Map<number, Rule>();
  /** The longest unused first. */
  readonly #free = new Set<number>();
  /** Given up since the last round, and since the one before. */
  #fresh: number[] = [];
  #stale: number[] = [];
  #highest = 0;

  /** @param limit so many numbers there are, from 0 */
  constructor(observer: Observer, limit: number) {
    this.#observer = observer;
    this.#limit = limit;
  }

  /** How many rules could get a number now. */
  get left(): number {
    return this.#limit - this.#highest + this.#free.size;
  }

  /** The number of a rule, from now on if it had none. */
  numberOf(rule: Rule): number {
    let numbered = this.#numbered.get(rule);
    if (!numbered) {
      const number = this.#highest < this.#limit ? this.#highest++ : this.#takeFree();
      const { packets, bytes } = this.#observer.rule(number);
      numbered = { number, packets, bytes };
      this.#numbered.set(rule, numbered);
      this.#byNumber.set(number, rule);
    }
    return numbered.number;
  }

  /** Whether a rule has a number. */
  has(rule: Rule): boolean {
    return this.#numbered.has(rule);
  }

  /** The rule that has a number. */
  ruleOf(number: number): Rule | undefined {
    return this.#byNumber.get(number);
  }

  /** A rule that went gives its number up. */
  release(rule: Rule): void {
    const numbered = this.#numbered.get(rule);
    if (!numbered) return;
    this.#numbered.delete(rule);
    this.#byNumber.delete(numbered.number);
    this.#fresh.push(numbered.number);
  }

  /** A round has passed. */
  age(): void {
    for (const number of this.#stale) this.#free.add(number);
    this.#stale = this.#fresh;
    this.#fresh = [];
  }

  #takeFree(): number {
    const [number] = this.#free;
    this.#free.delete(number!);
    return number!;
  }

  /** Tells a rule what has been counted for it since the last time; how many packets that are. */
  credit(rule: Rule): number {
    const numbered = this.#numbered.get(rule);
    if (!numbered) return 0;
    const { packets, bytes, usedMs } = this.#observer.rule(numbered.number);
    const more = packets - numbered.packets;
    if (more === 0) return 0;
    creditRule(rule, more, bytes - numbered.bytes, usedMs);
    numbered.packets = packets;
    numbered.bytes = bytes;
    return more;
  }
}
