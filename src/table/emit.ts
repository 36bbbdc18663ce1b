/**
 * Writes the action program of a megaflow.
 *
 * Changes to the packet are not written when they are made but before the next output, and only where
 * the packet on its way out could still differ: what was set twice is set once, what was set after the
 * last output not at all, and what the megaflow's mask or an earlier operation guarantees is left out.
 */
import {
  KEY_SIZE,
  OP_DROP,
  OP_END,
  OP_OUTPUT,
  OP_POP_VLAN,
  OP_PUSH_VLAN,
  OP_SET,
  PROGRAM_WORDS,
  VLAN_PRESENT,
} from '../datapath.ts';
import { type Packet, swap16, type Tag, TCI_BITS, TCI_WORD } from './packet.ts';

/** What is behind them in the table key is no part of a packet. */
const FLOW_KEY_WORDS = KEY_SIZE / 4;

/** A tag of the packet on its way out. Bits of `tci` outside `set` are as they came in. */
interface SentTag {
  readonly tag: Tag;
  tci: number;
  set: number;
}

export class Emitter {
  readonly #packet: Packet;
  readonly #program: number[] = [];
  /** The packet as the program so far leaves it, and which bits the program has set. */
  readonly #sent: Uint32Array;
  readonly #set: Uint32Array;
  readonly #sentTags: SentTag[];
  #outputs = 0;

  constructor(packet: Packet) {
    this.#packet = packet;
    this.#sent = packet.words.slice();
    this.#set = new Uint32Array(packet.words.length);
    this.#sentTags = packet.tags.map((tag) => ({ tag, tci: tag.tci, set: 0 }));
  }

  get outputs(): number {
    return this.#outputs;
  }

  /** The datapath takes no program that is longer than this. */
  get isTooLong(): boolean {
    return this.#program.length >= PROGRAM_WORDS;
  }

  /** Sends the packet as it is now to a port. */
  output(port: number): void {
    this.#commitTags();
    for (let word = TCI_WORD + 1; word < FLOW_KEY_WORDS; word++) this.#commitWord(word);
    this.#program.push(OP_OUTPUT, port);
    this.#outputs++;
  }

  /** The whole program. */
  finish(): Uint32Array {
    return Uint32Array.from([...this.#program, OP_END]);
  }

  static drop(reason: number): Uint32Array {
    return Uint32Array.of(OP_DROP, reason, OP_END);
  }

  #commitWord(word: number): void {
    const { words, written, seen } = this.#packet;
    const wanted = written[word]!;
    if (wanted === 0) return;
    const certain = seen[word]! | this.#set[word]!;
    const differs = words[word]! ^ this.#sent[word]!;
    if ((wanted & (differs | ~certain)) === 0) return;
    this.#program.push(OP_SET, word * 4, (words[word]! & wanted) >>> 0, wanted);
    this.#sent[word] = words[word]!;
    this.#set[word]! |= wanted;
  }

  /** Only the outermost tag is ever changed, so what differs is always above what does not. */
  #commitTags(): void {
    const { tags } = this.#packet;
    const sent = this.#sentTags;
    let common = 0;
    while (common < sent.length && sent[common]!.tag === tags[common]) common++;
    while (sent.length > common) {
      this.#program.push(OP_POP_VLAN);
      sent.pop();
    }
    if (common > 0) this.#commitTag(sent[common - 1]!);
    for (const tag of tags.slice(common)) {
      const tci = swap16(tag.tci) & ~VLAN_PRESENT;
      this.#program.push(OP_PUSH_VLAN, ((tag.tpid << 16) | tci) >>> 0);
      sent.push({ tag, tci: tag.tci, set: TCI_BITS });
    }
  }

  #commitTag(sent: SentTag): void {
    const { tag } = sent;
    const own = tag.tpid === 0 ? this.#packet.seen[TCI_WORD]! : 0;
    const wanted = tag.written & ~swap16(VLAN_PRESENT);
    if ((wanted & ((tag.tci ^ sent.tci) | ~(own | sent.set))) === 0) return;
    this.#program.push(OP_SET, TCI_WORD * 4, tag.tci & wanted, wanted);
    sent.tci = tag.tci;
    sent.set |= wanted;
  }
}
