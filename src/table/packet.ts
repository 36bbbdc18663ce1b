/**
 * A packet on its way through the tables, as seen by the translation that follows it.
 *
 * Beside the fields as they are now stands what is known of them. A bit is either still the packet's own
 * or written by an action, and then the same for every packet that takes this way. Whatever decision
 * rests on a bit of the first kind makes that bit part of the megaflow's mask.
 */
import { KEY_SIZE, Key, VLAN_PRESENT } from '../datapath.ts';
import { bytesOf, KEY_WORDS, wordsOf } from './match.ts';
import { ETH_IPV4, ETH_IPV6 } from './protocols.ts';

export const TCI_WORD = Key.vlanTci >> 2; // its low half; the high half is the Ethernet type
export const TCI_BITS = 0xffff;
const TYPE_BITS = 0xffff_0000;
const PROTO_WORD = Key.nwProto >> 2; // the protocol in the low byte, the fragment kind in the high one
const PROTO_BITS = 0xff;
const FRAG_BITS = 0x0300_0000;
const FIRST_PORT_WORD = Key.tpSrc >> 2;
const LAST_PORT_WORD = Key.tcpFlags >> 2;

/** From network order to a half word in memory and back. */
export const swap16 = (half: number): number => ((half & 0xff) << 8) | ((half >> 8) & 0xff);
const PRESENT = swap16(VLAN_PRESENT);

/** One VLAN tag. `tci` and `written` are half words as they lie in memory. */
export interface Tag {
  readonly tpid: number;
  tci: number;
  /** Bits of `tci` that actions wrote. */
  written: number;
}

export class Packet {
  /** The key as the tables see it now. */
  readonly words: Uint32Array;
  /** Bits of `words` that actions wrote. */
  readonly written = new Uint32Array(KEY_WORDS);
  /** Bits of the packet as it came in that decided something: the megaflow's mask. */
  readonly seen = new Uint32Array(KEY_WORDS);
  /** The packet's tags, the outermost last. The key tells of one only, so any below it are not here. */
  readonly tags: Tag[] = [];
  /** Host order; no action changes it. */
  readonly ethType: number;
  readonly isIp: boolean;

  #writtenUntagged = 0;

  constructor(key: Uint8Array) {
    this.words = wordsOf(key);
    this.ethType = swap16(this.words[TCI_WORD]! >>> 16);
    this.isIp = this.ethType === ETH_IPV4 || this.ethType === ETH_IPV6;
    const tci = this.words[TCI_WORD]! & TCI_BITS;
    if (tci & PRESENT) this.tags.push({ tpid: 0, tci, written: 0 });
    // What is not the packet's own is known from the start.
    this.written.fill(0xffff_ffff, KEY_SIZE / 4);
    // What the other bits of the key mean depends on these, so every megaflow matches them.
    this.seen[0] = 0xffff_ffff;
    this.seen[TCI_WORD] = TYPE_BITS;
    if (this.isIp) this.seen[PROTO_WORD] = FRAG_BITS;
  }

  /** The port that counts as ingress. An action may have changed it. */
  get inPort(): number {
    return this.words[0]!;
  }

  set inPort(port: number) {
    this.words[0] = port;
  }

  /** Notes that bits of a word decided something. */
  look(word: number, bits: number): void {
    this.seen[word]! |= bits & ~this.written[word]!;
    if (word >= FIRST_PORT_WORD && word <= LAST_PORT_WORD) this.look(PROTO_WORD, PROTO_BITS);
  }

  /** Whether these bits of a word are the same in every packet that takes this way. */
  isSettled(word: number, bits: number): boolean {
    return (bits & (this.seen[word]! | this.written[word]!)) !== 0;
  }

  /** The IP protocol, or the ARP operation. */
  lookAtProtocol(): number {
    this.look(PROTO_WORD, PROTO_BITS);
    return this.words[PROTO_WORD]! & PROTO_BITS;
  }

  /** A later fragment has no transport header, so nothing in it can be set. */
  get isLaterFragment(): boolean {
    return this.isIp && bytesOf(this.words)[Key.nwFrag]! > 1;
  }

  /** Sets bits of key bytes from `offset` on; not for the tag. */
  write(offset: number, value: Uint8Array, mask: Uint8Array): void {
    const [bytes, written] = [bytesOf(this.words), bytesOf(this.written)];
    for (let i = 0; i < value.length; i++) {
      bytes[offset + i] = (bytes[offset + i]! & ~mask[i]!) | value[i]!;
      written[offset + i]! |= mask[i]!;
    }
  }

  lookAtTag(): Tag | undefined {
    this.look(TCI_WORD, PRESENT);
    return this.tags.at(-1);
  }

  pushTag(tpid: number, tci = PRESENT): void {
    this.tags.push({ tpid, tci, written: TCI_BITS });
    this.#showTag();
  }

  popTag(): void {
    if (!this.lookAtTag()) return;
    const popped = this.tags.pop()!;
    if (popped.tpid === 0) this.#writtenUntagged = TCI_BITS;
    this.#showTag();
  }

  /**
   * Sets bits of the outermost tag. The bit that says that there is a tag is one of them: setting it
   * adds a tag where there is none, if `mayAdd`; clearing it takes the tag away.
   */
  writeTag(value: number, mask: number, mayAdd: boolean): void {
    const tag = this.lookAtTag();
    const tci = ((tag?.tci ?? 0) & ~mask) | value;
    if (!(tci & PRESENT)) this.popTag();
    else if (tag) {
      tag.tci = tci;
      tag.written |= mask;
      this.#showTag();
    } else if (mayAdd) this.pushTag(0x8100, tci);
  }

  #showTag(): void {
    const { tci, written } = this.tags.at(-1) ?? { tci: 0, written: this.#writtenUntagged };
    this.words[TCI_WORD] = (this.words[TCI_WORD]! & TYPE_BITS) | tci;
    this.written[TCI_WORD] = (this.written[TCI_WORD]! & TYPE_BITS) | written;
  }
}
