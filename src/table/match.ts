/**
 * A match: which bits of the table key (fields.ts) count and what they must be.
 *
 * Keys, values and masks are handled as 32-bit words over the raw key bytes. WebAssembly is
 * little-endian and so is every machine that Node.js runs on, so a word here is the word that the
 * datapath compares; nothing is ever swapped.
 */
import { type Field, fieldOf, TABLE_KEY_SIZE } from './fields.ts';
import { saysConnection, saysInvalid } from './protocols.ts';
import type { Masked } from './values.ts';

export const KEY_WORDS = TABLE_KEY_SIZE / 4;

export const bytesOf = (words: Uint32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, TABLE_KEY_SIZE);

/** A copy of key bytes as words; the bytes may lie at any address. What a flow key does not have is zero. */
export function wordsOf(key: Uint8Array): Uint32Array {
  const words = new Uint32Array(KEY_WORDS);
  new Uint8Array(words.buffer).set(key.subarray(0, TABLE_KEY_SIZE));
  return words;
}

export class Match {
  readonly value: Uint32Array;
  readonly mask: Uint32Array;
  /** The words whose mask is not zero. */
  readonly words: readonly number[];
  #identity: string | undefined;

  /** @param value KEY_WORDS words, zero wherever `mask` is */
  constructor(value: Uint32Array, mask: Uint32Array) {
    this.value = value;
    this.mask = mask;
    const words: number[] = [];
    for (let word = 0; word < mask.length; word++) if (mask[word] !== 0) words.push(word);
    this.words = words;
  }

  matches(key: Uint32Array): boolean {
    for (const word of this.words) if ((key[word]! ^ this.value[word]!) & this.mask[word]!) return false;
    return true;
  }

  equals(other: Match): boolean {
    return this.identity === other.identity;
  }

  /** Whether every packet that matches `other` matches this as well. */
  covers(other: Match): boolean {
    return this.words.every((word) => {
      const mask = this.mask[word]!;
      return (mask & ~other.mask[word]!) === 0 && ((this.value[word]! ^ other.value[word]!) & mask) === 0;
    });
  }

  /** Whether some packet matches both. */
  overlaps(other: Match): boolean {
    return this.words.every((word) => {
      const both = this.mask[word]! & other.mask[word]!;
      return ((this.value[word]! ^ other.value[word]!) & both) === 0;
    });
  }

  /** Equal for equal matches only. */
  get identity(): string {
    this.#identity ??= this.words.map((word) => `${word}:${this.value[word]}/${this.mask[word]}`).join();
    return this.#identity;
  }

  /** What the match says of a field; the mask is zero where it says nothing. */
  get(field: Field): Masked {
    const at = (words: Uint32Array) =>
      bytesOf(words)
        .subarray(field.offset, field.offset + field.bytes)
        .map((byte, i) => byte & field.bits[i]!);
    return { value: at(this.value), mask: at(this.mask) };
  }

  /** The Ethernet type, IP protocol (or ARP operation) and ICMP type, when the match pins them. */
  get ethType(): number | undefined {
    return this.#pinned(ETH_TYPE);
  }

  get nwProto(): number | undefined {
    return this.#pinned(NW_PROTO);
  }

  get icmpType(): number | undefined {
    return this.#pinned(ICMP_TYPE);
  }

  /** Whether it lets in only packets that belong to a connection. */
  get hasConnection(): boolean {
    const { value, mask } = this.get(CT_STATE);
    return saysConnection(value[0]!, mask[0]!);
  }

  /** Whether it lets in only packets that cannot belong to a connection. */
  get isInvalid(): boolean {
    return saysInvalid(this.get(CT_STATE).value[0]!);
  }

  #pinned(field: Field): number | undefined {
    const { value, mask } = this.get(field);
    return mask.every((byte, i) => byte === field.bits[i])
      ? value.reduce((sum, byte) => sum * 256 + byte, 0)
      : undefined;
  }
}

const ETH_TYPE = fieldOf('eth_type');
const NW_PROTO = fieldOf('nw_proto');
const ICMP_TYPE = fieldOf('icmp_type');
const CT_STATE = fieldOf('ct_state');
