/**
 * The classifier of a table: finds the rule for a packet among many, and looks at as little of the packet
 * as it can, since whatever it looks at becomes part of the megaflow's mask.
 *
 * Rules with the same mask form a subtable. Subtables are searched in the order of their best rules, until
 * none is left that could beat what was found. A subtable is a tree over the words of its mask, in the
 * order of the stages: port and metadata, Ethernet, network, transport. A branch stands at the first word
 * in which the rules below it differ; words in which they agree are compared on the way.
 *
 *     priority=9,in_port=1,ip,nw_dst=10.0.0.1,tp_dst=80        agree: in_port, eth_type
 *     priority=9,in_port=1,ip,nw_dst=10.0.0.1,tp_dst=81                    │
 *     priority=8,in_port=1,ip,nw_dst=10.0.0.9,tp_dst=80          branch at nw_dst
 *                                                             10.0.0.1 ╱   ╲ 10.0.0.9
 *                                                       branch at tp_dst   leaf (agree: tp_dst)
 *                                                        80 ╱       ╲ 81
 *                                                        leaf       leaf
 *
 * So a packet fails at the earliest stage that tells it from all rules, and what is looked at then is:
 *
 * - where the rules agree, one word in which the packet differs, or nothing when what is already in the
 *   mask tells them apart;
 * - where they branch, as many leading bits of an address or port as no other rule shares, or the masked
 *   word when it is neither.
 *
 * A hit looks at all that the rule matches on. Of subtables whose rule was beaten only the branches count.
 *
 * Invariants: all rules below a node agree in every word before its branch; a branch has two children at
 * least; a leaf's rules have one match and stand in the order in which they are tried.
 */
import { Key } from '../datapath.ts';
import type { Action } from './action.ts';
import { swap32 } from './bytes.ts';
import { Pipeline } from './fields.ts';
import type { Match } from './match.ts';
import { Prefixes } from './prefixes.ts';

/** What the classifier needs to know of a rule. Match, priority and id never change. */
export interface Candidate {
  /** Goes up with each rule that is made. */
  readonly id: number;
  readonly priority: number;
  readonly match: Match;
  readonly actions: readonly Action[];
}

/** A packet as the classifier sees it. */
export interface Subject {
  readonly words: Uint32Array;
  /** Notes that bits of a word decided something. */
  look(word: number, bits: number): void;
  /** Whether any of these bits is the same in every packet that takes this way. */
  isSettled(word: number, bits: number): boolean;
}

/** Whether `a` is tried before `b`: by priority, and among equals the older one first. */
export const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.priority > b.priority || (a.priority === b.priority && a.id < b.id);

const word = (offset: number): number => offset >> 2;

const CONJUNCTION_ID = word(Pipeline.conjunctionId);
const PORTS = word(Key.tpSrc);
const FLAGS_AND_TAG = word(Key.tcpFlags);
const TCP_FLAGS_BITS = 0xffff;

/** 0 port and metadata, 1 Ethernet, 2 network, 3 transport. */
function stageOf(at: number, bits: number): number {
  if (at === 0 || at >= word(Pipeline.metadata)) return 0;
  if (at >= word(Key.ctState) && at < word(Key.ipv6Label)) return 0;
  if (at >= word(Key.ctLabel) && at < word(Key.ndTarget)) return 0;
  if (at < word(Key.nwProto)) return 1;
  if (at === FLAGS_AND_TAG) return bits & TCP_FLAGS_BITS ? 3 : 1;
  return at === PORTS || at >= word(Key.ndTarget) ? 3 : 2;
}

/** Words of which a prefix means something: addresses, labels and ports. */
const hasPrefixes = (at: number): boolean =>
  at === PORTS ||
  at === word(Key.ctTpSrc) ||
  (at >= word(Key.nwSrc) && at <= word(Key.ipv6Dst12)) ||
  (at >= word(Key.ndTarget) && at <= word(Key.ctDst12));

/** The first `length` bits of a word in memory, in the order in which they are sent. */
const prefixMask = (length: number): number => swap32(length === 0 ? 0 : -1 << (32 - length));

interface Leaf<R> {
  readonly value: Uint32Array;
  readonly rules: R[];
}

interface Branch<R> {
  /** Of any rule that is or was below: right in every word before the branch. */
  readonly value: Uint32Array;
  /** Where the branch stands, in the order of the subtable's words. */
  readonly position: number;
  readonly children: Map<number, Branch<R> | Leaf<R>>;
  /** The children's words, in network order, where a prefix means something. */
  readonly prefixes: Prefixes | undefined;
}

type Node<R> = Branch<R> | Leaf<R>;

class Subtable<R extends Candidate> {
  readonly #mask: Uint32Array;
  /** Words whose mask is not zero, by stage. */
  readonly #words: readonly number[];
  #root: Node<R> | undefined;
  #best: R | undefined;

  constructor({ mask, words }: Match) {
    this.#mask = mask;
    this.#words = [...words].sort((a, b) => stageOf(a, mask[a]!) - stageOf(b, mask[b]!) || a - b);
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }

  /** The rule that is tried first, if there is any. */
  get best(): R {
    this.#best ??= this.#findBest();
    return this.#best;
  }

  add(rule: R): void {
    if (this.#best && isBefore(rule, this.#best)) this.#best = rule;
    const { value } = rule.match;
    let above: Branch<R> | undefined;
    let node = this.#root;
    let from = 0;
    while (node) {
      const differing = this.#firstDifference(value, node, from);
      if (differing >= 0) {
        const branch = this.#branch(value, differing);
        this.#link(branch, node, node.value);
        this.#link(branch, { value, rules: [rule] }, value);
        this.#link(above, branch, value);
        return;
      }
      if ('rules' in node) {
        const later = node.rules.findIndex((other) => isBefore(rule, other));
        node.rules.splice(later < 0 ? node.rules.length : later, 0, rule);
        return;
      }
      above = node;
      from = node.position + 1;
      node = node.children.get(this.#at(value, node.position));
    }
    this.#link(above, { value, rules: [rule] }, value);
  }

  remove(rule: R): void {
    if (this.#best === rule) this.#best = undefined;
    const { value } = rule.match;
    let aboveThat: Branch<R> | undefined;
    let above: Branch<R> | undefined;
    let node = this.#root;
    while (node && !('rules' in node)) {
      aboveThat = above;
      above = node;
      node = node.children.get(this.#at(value, node.position));
    }
    const at = node ? node.rules.indexOf(rule) : -1;
    if (!node || at < 0) return;
    node.rules.splice(at, 1);
    if (node.rules.length > 0) return;
    if (!above) {
      this.#root = undefined;
      return;
    }
    const branched = this.#at(value, above.position);
    above.children.delete(branched);
    above.prefixes?.remove(swap32(branched) | 0);
    if (above.children.size === 1) this.#link(aboveThat, above.children.values().next().value!, value);
  }

  /** The rules that match, in order; looks at what tells the packet from those that do not. */
  find(packet: Subject): readonly R[] | undefined {
    let node = this.#root;
    let from = 0;
    while (node) {
      const end = 'rules' in node ? this.#words.length : node.position;
      if (this.#differs(packet, node.value, from, end)) return undefined;
      if ('rules' in node) return node.rules;
      const at = this.#words[node.position]!;
      const own = packet.words[at]! & this.#mask[at]!;
      const bits = node.prefixes ? prefixMask(node.prefixes.bitsToTell(swap32(own) | 0)) : 0xffff_ffff;
      packet.look(at, this.#mask[at]! & bits);
      from = node.position + 1;
      node = node.children.get(own);
    }
    return undefined;
  }

  /** Whether the packet differs in one of the words in which a node's rules agree; looks at one such word. */
  #differs(packet: Subject, value: Uint32Array, from: number, end: number): boolean {
    let found = -1;
    let bits = 0;
    for (let position = from; position < end; position++) {
      const at = this.#words[position]!;
      const difference = (packet.words[at]! ^ value[at]!) & this.#mask[at]!;
      if (difference === 0) continue;
      if (packet.isSettled(at, difference)) return true;
      if (found >= 0) continue;
      found = at;
      bits = difference;
    }
    if (found < 0) return false;
    const enough = hasPrefixes(found) ? prefixMask(Math.clz32(swap32(bits)) + 1) : 0xffff_ffff;
    packet.look(found, this.#mask[found]! & enough);
    return true;
  }

  /** The first position in which a value differs from what a node's rules agree in; -1 when there is none. */
  #firstDifference(value: Uint32Array, node: Node<R>, from: number): number {
    const end = 'rules' in node ? this.#words.length : node.position;
    for (let position = from; position < end; position++) {
      if (this.#at(value, position) !== this.#at(node.value, position)) return position;
    }
    return -1;
  }

  #at(value: Uint32Array, position: number): number {
    return value[this.#words[position]!]! | 0;
  }

  #branch(value: Uint32Array, position: number): Branch<R> {
    const prefixes = hasPrefixes(this.#words[position]!) ? new Prefixes() : undefined;
    return { value, position, children: new Map(), prefixes };
  }

  /** Puts a node where `value` leads on from a branch, or at the root. */
  #link(above: Branch<R> | undefined, node: Node<R>, value: Uint32Array): void {
    if (!above) {
      this.#root = node;
      return;
    }
    const own = this.#at(value, above.position);
    above.children.set(own, node);
    above.prefixes?.add(swap32(own) | 0);
  }

  #findBest(): R {
    let best: R | undefined;
    const nodes = [this.#root!];
    for (let node = nodes.pop(); node; node = nodes.pop()) {
      if ('rules' in node) {
        if (!best || isBefore(node.rules[0]!, best)) best = node.rules[0]!;
      } else nodes.push(...node.children.values());
    }
    return best!;
  }
}

export const isConjunctive = ({ actions }: Candidate): boolean =>
  actions.some(({ kind }) => kind === 'conjunction');

export class Classifier<R extends Candidate> {
  readonly #subtables = new Map<string, Subtable<R>>();
  /** In the order in which they are searched; undefined when that may have changed. */
  #ordered: Subtable<R>[] | undefined;

  add(rule: R): void {
    const key = maskKey(rule.match);
    let subtable = this.#subtables.get(key);
    if (!subtable) {
      subtable = new Subtable(rule.match);
      this.#subtables.set(key, subtable);
    }
    subtable.add(rule);
    this.#ordered = undefined;
  }

  /** Nothing happens when the rule is not there. */
  remove(rule: R): void {
    const key = maskKey(rule.match);
    const subtable = this.#subtables.get(key);
    subtable?.remove(rule);
    if (subtable?.isEmpty) this.#subtables.delete(key);
    this.#ordered = undefined;
  }

  /** The rule to apply to a packet. */
  lookUp(packet: Subject): R | undefined {
    const { found, clauses } = this.#search(packet);
    const rule = (clauses && this.#joined(packet, found, clauses)) ?? found;
    if (rule) lookAt(packet, rule);
    return rule;
  }

  /** The best rule that stands alone, and the clauses of conjunctions that would beat it. */
  #search(packet: Subject): { found: R | undefined; clauses: R[] | undefined } {
    let found: R | undefined;
    let clauses: R[] | undefined;
    this.#ordered ??= [...this.#subtables.values()].sort((a, b) => (isBefore(a.best, b.best) ? -1 : 1));
    for (const subtable of this.#ordered) {
      if (found && isBefore(found, subtable.best)) break;
      for (const rule of subtable.find(packet) ?? []) {
        if (found && isBefore(found, rule)) break;
        if (isConjunctive(rule)) {
          clauses ??= [];
          clauses.push(rule);
        } else {
          found = rule;
          break;
        }
      }
    }
    return { found, clauses };
  }

  /**
   * The rule that a conjunction leads to: one with a higher priority than `found` of which every clause has
   * a match. The packet is looked up once more with its number as `conj_id`. Of several conjunctions the one
   * with the highest priority counts, then the one with the lowest number.
   */
  #joined(packet: Subject, found: R | undefined, clauses: readonly R[]): R | undefined {
    const candidates = clauses.filter(({ priority }) => !found || priority > found.priority);
    const priorities = new Set(candidates.map(({ priority }) => priority).sort((a, b) => b - a));
    for (const priority of priorities) {
      const equals = candidates.filter((rule) => rule.priority === priority);
      for (const rule of equals) lookAt(packet, rule);
      for (const id of completeConjunctions(equals)) {
        packet.words[CONJUNCTION_ID] = swap32(id);
        const { found: joined } = this.#search(packet);
        packet.words[CONJUNCTION_ID] = 0;
        if (joined) return joined;
      }
    }
    return undefined;
  }
}

/** Numbers of the conjunctions of which the rules together have every clause, lowest first. */
function completeConjunctions(rules: readonly Candidate[]): number[] {
  const missing = new Map<number, Set<number>>();
  for (const { actions } of rules) {
    for (const action of actions) {
      if (action.kind !== 'conjunction') continue;
      const clauses = missing.get(action.id) ?? new Set(Array.from({ length: action.of }, (_, i) => i + 1));
      missing.set(action.id, clauses);
      clauses.delete(action.clause);
    }
  }
  return [...missing].flatMap(([id, clauses]) => (clauses.size === 0 ? [id] : [])).sort((a, b) => a - b);
}

function lookAt(packet: Subject, { match: { words, mask } }: Candidate): void {
  for (const at of words) packet.look(at, mask[at]!);
}

const maskKey = ({ words, mask }: Match): string => words.map((at) => `${at}:${mask[at]}`).join();
