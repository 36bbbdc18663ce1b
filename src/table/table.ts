/**
 * One match-action table: its rules by what makes them unique, and in the order in which they are tried.
 *
 * Rules are tried by priority, and among equals the oldest first. OVS leaves that last case open; here it is
 * decided so that a packet's fate never depends on chance.
 */
import { Classifier, isBefore, type Subject } from './classifier.ts';
import type { Flow } from './parse.ts';
import { Queue } from './queue.ts';
import { expiresMs, type Rule } from './rule.ts';

/** What makes a rule unique in its table. */
export type Unique = Pick<Flow, 'priority' | 'match'>;

const uniqueKey = ({ priority, match }: Unique): string => `${priority} ${match.identity}`;

/** Puts what is less important first, then what expires sooner. Milliseconds of years fit beside it. */
const evictionKey = (rule: Rule): number => rule.importance * 2 ** 37 + expiresMs(rule);

export class Table {
  readonly #classifier = new Classifier<Rule>();
  readonly #unique = new Map<string, Rule>();
  /** How many rules have a cookie. */
  readonly #cookies = new Map<bigint, number>();
  /** Rules that may have to make room: those that would go by themselves one day. */
  readonly #evictable: Queue<Rule> | undefined;
  /** In the order in which they are tried; undefined when that may have changed. */
  #ordered: readonly Rule[] | undefined;

  /** @param evicts whether rules may have to make room for others */
  constructor(evicts: boolean) {
    this.#evictable = evicts ? new Queue() : undefined;
  }

  get size(): number {
    return this.#unique.size;
  }

  get rules(): readonly Rule[] {
    this.#ordered ??= [...this.#unique.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
    return this.#ordered;
  }

  /** Adds a rule; there is none with its match and priority. */
  put(rule: Rule): void {
    this.#unique.set(uniqueKey(rule), rule);
    this.#classifier.add(rule);
    this.#countCookie(rule.cookie, 1);
    this.reconsider(rule);
    this.#ordered = undefined;
  }

  take(rule: Rule): void {
    this.#unique.delete(uniqueKey(rule));
    this.#classifier.remove(rule);
    this.#countCookie(rule.cookie, -1);
    this.#evictable?.delete(rule);
    this.#ordered = undefined;
  }

  setCookie(rule: Rule, cookie: bigint): void {
    this.#countCookie(rule.cookie, -1);
    rule.cookie = cookie;
    this.#countCookie(cookie, 1);
  }

  /** The rule with this match and priority. */
  find(flow: Unique): Rule | undefined {
    return this.#unique.get(uniqueKey(flow));
  }

  lookUp(packet: Subject): Rule | undefined {
    return this.#classifier.lookUp(packet);
  }

  /** See `LookUps`. */
  hasRoomToLearn(flow: Flow, limit: number): boolean {
    return limit === 0 || this.withCookie(flow.cookie) < limit || this.find(flow) !== undefined;
  }

  /** How many rules have a cookie. */
  withCookie(cookie: bigint): number {
    return this.#cookies.get(cookie) ?? 0;
  }

  /** A rule's time-outs have become shorter. */
  reconsider(rule: Rule): void {
    if (Number.isFinite(expiresMs(rule))) this.#evictable?.set(rule, evictionKey(rule));
  }

  /**
   * The rule to make room: the least important, among equals the one that expires first. Undefined when none
   * has a time-out: what is there for good stays.
   */
  evictee(): Rule | undefined {
    const queue = this.#evictable;
    // Use only puts a rule's end off: a key may be too small, never too large.
    for (let rule = queue?.first; queue && rule; rule = queue.first) {
      const key = evictionKey(rule);
      if (key === queue.firstKey) return rule;
      queue.set(rule, key);
    }
    return undefined;
  }

  #countCookie(cookie: bigint, change: number): void {
    const count = this.withCookie(cookie) + change;
    if (count === 0) this.#cookies.delete(cookie);
    else this.#cookies.set(cookie, count);
  }
}
