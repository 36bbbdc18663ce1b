/**
 * Writes the action program of a megaflow.
 *
 * Changes to the packet are not written when they are made but before the next operation that lets the packet
 * out, and only where it could still differ: what was set twice is set once, what was set after the last output
 * not at all, and what the megaflow's mask or an earlier operation guarantees is left out.
 *
 * So the emitter knows two packets: the one the tables see (`Packet`) and the one that the program so far leaves
 * (`Sent`). A program inside another begins with the latter and leaves it as it was. One that changes nothing
 * about it needs no copy of the packet, and stands in the program around it like any other operations.
 */
import {
  Key,
  MAX_NESTING,
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TALLY,
  OP_TRUNCATE,
  PROGRAM_WORDS,
  VLAN_PRESENT,
} from '../datapath.ts';
import { swap16, swap32 } from './bytes.ts';
import { type Entry, LABEL_WORD, TCI_WORD } from './entry.ts';
import { NETWORK_WORDS, type Packet } from './packet.ts';
import { ETH_MPLS } from './protocols.ts';

const ETHERNET_WORDS = [2, 3, 4];
/** The TCP flags are never set, and the inner tag shares their word. */
const SETTABLE_WORDS = NETWORK_WORDS.filter((word) => word !== Key.tcpFlags >> 2);

const PORTS_WORD = Key.tpSrc >> 2;
const MARK_WORD = Key.ctMark >> 2;
const LABEL_WORDS = [Key.ctLabel, Key.ctLabel4, Key.ctLabel8, Key.ctLabel12].map((offset) => offset >> 2);

/** A word of the packet, and which bits the program has set. */
interface SentWord {
  readonly bits: number;
  readonly set: number;
}

interface Sent {
  /** Words that are not as the packet brought them. */
  readonly words: Map<number, SentWord>;
  /** As in `Packet`; bits in `written` are those that the program has set. */
  tags: readonly Entry[];
  labels: readonly Entry[];
  ethType: number;
  /** It may bring along what is known of its connection. */
  isTracked: boolean;
}

/** One of the programs of which OP_SELECT runs one. */
export interface Alternative {
  readonly salt: number;
  readonly weight: number;
  /** Writes the program. */
  readonly write: () => void;
}

/** How many of the entries at the end of two stacks are the same. */
function commonEntries(a: readonly Entry[], b: readonly Entry[]): number {
  let common = 0;
  while (common < a.length && common < b.length && a.at(-1 - common)!.number === b.at(-1 - common)!.number) {
    common++;
  }
  return common;
}

/** The half words that have any of these bits. */
const halvesOf = (bits: number): number => (bits & 0xffff ? 0xffff : 0) | (bits & ~0xffff ? ~0xffff : 0);

export class Emitter {
  readonly #packet: Packet;
  #program: number[] = [];
  #sent: Sent;
  /** How many operations changed the packet or may have ended it. */
  #changes = 0;
  #takers = 0;
  /** How many of these were controllers. */
  #controllers = 0;
  #nesting = 0;
  #words = 0;

  constructor(packet: Packet) {
    this.#packet = packet;
    const { tags, labels, ethType, isTracked } = packet;
    this.#sent = { words: new Map(), tags, labels, ethType, isTracked };
  }

  /** How many operations took the packet or a copy of it. */
  get takers(): number {
    return this.#takers;
  }

  /** The datapath takes no program that is longer than this, or nested deeper. */
  get isTooLong(): boolean {
    return this.#words >= PROGRAM_WORDS || this.#nesting > MAX_NESTING;
  }

  /** Sends the packet as it is now, or its first `maxLength` bytes, to a port. */
  output(port: number, maxLength: number | undefined): void {
    this.#commit();
    if (maxLength !== undefined) this.#write(OP_TRUNCATE, maxLength);
    this.take(OP_OUTPUT, port);
  }

  controller(punt: number): void {
    this.#commit();
    this.#commitTracking();
    this.take(OP_CONTROLLER, punt);
    this.#controllers++;
  }

  recirculate(recirculation: number): void {
    this.#commit();
    this.#commitTracking();
    this.take(OP_RECIRCULATE, recirculation);
  }

  /**
   * Tracks the packet.
   * @param set the bits of a table key that a connection gets from the packet's: of mark and label
   * @param nat the operands of OP_CT_NAT
   * @param recirculation how the packet then goes round, with what is known of it
   */
  track(
    flags: number,
    zone: number,
    set: Uint32Array,
    nat: readonly number[] | undefined,
    recirculation: number | undefined,
  ): void {
    this.#commit();
    const { words } = this.#packet;
    const of = (word: number) => (words[word]! & set[word]!) >>> 0;
    if (LABEL_WORDS.some((word) => set[word] !== 0)) {
      this.change(OP_CT_LABEL, ...LABEL_WORDS.map(of), ...LABEL_WORDS.map((word) => set[word]!));
    }
    if (nat) this.change(OP_CT_NAT, ...nat);
    this.change(OP_CT, flags, zone, of(MARK_WORD), set[MARK_WORD]!);
    this.#sent.isTracked = true;
    if (recirculation !== undefined) this.take(OP_RECIRCULATE, recirculation);
  }

  /** Makes the packet one that has not been tracked. */
  clearTracking(): void {
    if (this.#sent.isTracked) this.change(OP_CT_CLEAR);
    this.#sent.isTracked = false;
  }

  tally(index: number): void {
    this.#write(OP_TALLY, index);
  }

  meter(index: number): void {
    this.#write(OP_METER, index);
    this.#changes++;
  }

  /** A fate for packets that nothing else takes. */
  drop(reason: number): void {
    this.#write(OP_DROP, reason);
  }

  /** What `write` writes is done to a copy. */
  clone(write: () => void): void {
    const changes = this.#changes;
    const program = this.nested(write);
    const isPlain = this.#changes === changes;
    this.#changes = changes;
    if (isPlain) this.#write(...program);
    else this.#write(OP_CLONE, ...program, OP_END);
  }

  /** What `write` writes is done to a copy, for `probability` of 2³²-1 packets. */
  sample(probability: number, write: () => void): void {
    const before = { takers: this.#takers, controllers: this.#controllers, changes: this.#changes };
    const program = this.nested(write);
    this.#takers = before.takers;
    this.#controllers = before.controllers;
    this.#changes = before.changes;
    this.#write(OP_SAMPLE, probability, ...program, OP_END);
  }

  /** What one of the alternatives writes is done to a copy, chosen by the packet's connection. */
  select(basis: number, alternatives: readonly Alternative[]): void {
    const changes = this.#changes;
    const programs = alternatives.map(({ write }) => this.nested(write));
    this.#changes = changes;
    this.#takers++;
    this.#write(
      OP_SELECT,
      basis,
      alternatives.length,
      ...alternatives.flatMap(({ salt, weight }) => [salt, weight]),
      ...programs.flatMap((program) => [...program, OP_END]),
    );
  }

  /**
   * The whole program. Packets that nothing takes are dropped for a reason; so are those that controllers alone take,
   * if they are denied: the controllers get copies.
   */
  finish(reason: number, isDenied = false): Uint32Array {
    if (this.#takers === (isDenied ? this.#controllers : 0)) this.drop(reason);
    this.#write(OP_END);
    return new Uint32Array(this.#program);
  }

  static drop(reason: number): Uint32Array {
    return Uint32Array.of(OP_DROP, reason, OP_END);
  }

  // What follows is also where one may listen who does to a packet what is written (upcall/trial-emitter.ts).

  /** What `write` writes, without an end. Afterwards the packet is again as sent before. */
  protected nested(write: () => void): number[] {
    const { program, sent, words } = { program: this.#program, sent: this.#sent, words: this.#words };
    this.#program = [];
    this.#sent = { ...sent, words: new Map(sent.words) };
    this.#nesting++;
    // Nesting that is too deep stays counted, so that `isTooLong` says so.
    if (!this.isTooLong) {
      write();
      this.#nesting--;
    }
    const nested = this.#program;
    this.#program = program;
    this.#sent = sent;
    this.#words = words;
    return nested;
  }

  #write(...words: number[]): void {
    this.#program.push(...words);
    this.#words += words.length;
  }

  protected take(operation: number, operand: number): void {
    this.#write(operation, operand);
    this.#takers++;
  }

  protected change(...words: number[]): void {
    this.#write(...words);
    this.#changes++;
  }

  /** Makes the packet on its way out what the tables made of it. */
  #commit(): void {
    const { words, written, labels, ethType } = this.#packet;
    this.#commitTags();
    for (const word of ETHERNET_WORDS) this.#commitWord(word, words, written);
    const common = commonEntries(this.#sent.labels, labels);
    if (labels !== this.#sent.labels) this.#popLabels(common);
    if (common === 0) this.#commitNetwork();
    if (labels !== this.#sent.labels) this.#commitLabels(common);
    if (ethType === this.#sent.ethType) return;
    // A label was pushed and popped, and what is behind it is now said to be something else.
    this.#pushLabel(ETH_MPLS, 0);
    this.#popLabel(ethType);
  }

  /** Who looks at the packet anew is to see no more of its connection than the tables do. */
  #commitTracking(): void {
    if (!this.#packet.isTracked) this.clearTracking();
  }

  /** The header behind the Ethernet type, or the one that labels are about to hide. */
  #commitNetwork(): void {
    const { inner, isOpaque } = this.#packet;
    const header = inner ?? (isOpaque ? undefined : this.#packet);
    if (header?.ethType !== this.#sent.ethType) return;
    for (const word of SETTABLE_WORDS) this.#commitWord(word, header.words, header.written);
  }

  #commitWord(word: number, words: Uint32Array, written: Uint32Array): void {
    if (written[word] === 0) return;
    const { bits, set } = this.#sent.words.get(word) ?? { bits: this.#packet.brought(word), set: 0 };
    const certain = this.#packet.seen[word]! | set;
    const differs = words[word]! ^ bits;
    const needed = written[word]! & (differs | ~certain);
    if (needed === 0) return;
    // A connection's translation may have replaced one of the two ports.
    const wanted = word === PORTS_WORD ? written[word]! & halvesOf(needed) : written[word]!;
    this.change(OP_SET, word * 4, (words[word]! & wanted) >>> 0, wanted >>> 0);
    this.#sent.words.set(word, { bits: words[word]!, set: set | wanted });
  }

  /** Only the outermost tag is ever changed, so what differs is always above what does not. */
  #commitTags(): void {
    const { tags } = this.#packet;
    if (tags === this.#sent.tags) return;
    const common = commonEntries(this.#sent.tags, tags);
    for (let i = this.#sent.tags.length; i > common; i--) this.change(OP_POP_VLAN);
    const [top, ...below] = common > 0 ? this.#sent.tags.slice(-common) : [];
    this.#sent.tags = top ? [this.#commitEntry(TCI_WORD, top, tags.at(-common)!), ...below] : [];
    for (const tag of tags.slice(0, tags.length - common).reverse()) {
      const tci = swap16(tag.bits) & ~VLAN_PRESENT;
      this.change(OP_PUSH_VLAN, ((tag.type << 16) | tci) >>> 0);
      this.#sent.tags = [tag, ...this.#sent.tags];
    }
  }

  #popLabels(common: number): void {
    const { labels } = this.#sent;
    for (const { number } of labels.slice(0, labels.length - common)) {
      this.#popLabel(this.#packet.uncovered.get(number)!);
    }
    this.#sent.labels = common > 0 ? labels.slice(-common) : [];
  }

  #pushLabel(ethType: number, entry: number): void {
    this.change(OP_PUSH_MPLS, ethType, entry);
    this.#sent.ethType = ethType;
  }

  #popLabel(ethType: number): void {
    this.change(OP_POP_MPLS, ethType);
    this.#sent.ethType = ethType;
  }

  /** Changes the outermost label that stays, and pushes what is above. */
  #commitLabels(common: number): void {
    const { labels } = this.#packet;
    const [top, ...below] = this.#sent.labels;
    if (top) this.#sent.labels = [this.#commitEntry(LABEL_WORD, top, labels.at(-common)!), ...below];
    for (const label of labels.slice(0, labels.length - common).reverse()) {
      this.#pushLabel(label.type, swap32(label.bits));
      this.#sent.labels = [label, ...this.#sent.labels];
    }
  }

  /** Gives a tag or label on the packet the bits that actions wrote. */
  #commitEntry(word: number, sent: Entry, entry: Entry): Entry {
    const wanted = entry.written & (word === TCI_WORD ? ~swap16(VLAN_PRESENT) : -1);
    const certain = this.#packet.seenOf(sent) | sent.written;
    if ((wanted & ((entry.bits ^ sent.bits) | ~certain)) === 0) return sent;
    this.change(OP_SET, word * 4, (entry.bits & wanted) >>> 0, wanted >>> 0);
    return { ...entry, written: sent.written | wanted };
  }
}
