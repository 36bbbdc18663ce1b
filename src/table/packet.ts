/**
 * A packet on its way through the tables, as seen by the translation that follows it.
 *
 * Beside the fields as they are now stands what is known of them. A bit is either still the packet's own
 * or written by an action, and then the same for every packet that takes this way. Whatever decision
 * rests on a bit of the first kind makes that bit part of the megaflow's mask.
 *
 * Tags and labels move when others are pushed or popped, so an own bit of theirs may stand in another place
 * of the key than where the packet brought it: each entry knows its origin. A label pushed onto a packet that
 * has none hides its network header, which comes back when the label goes:
 *
 *     tags    outermost first; two from the key, absent ones among them      ┐ shown in the key
 *     labels  outermost first; three from the key of an MPLS packet          ┘
 *     inner   the network header behind labels that actions pushed
 *
 * What was never in the key cannot be known: once it would come to light, the packet is `isOpaque`.
 *
 * What is known of the packet's connection is in the key of a packet that has been tracked and sent round. No
 * packet that has just come in has any of it, so to look at it costs nothing then.
 */
import { KEY_SIZE, Key, VLAN_PRESENT } from '../datapath.ts';
import { swap16, swap32 } from './bytes.ts';
import {
  type Entry,
  INNER_TAG,
  LABEL_PLACES,
  LABEL_WORD,
  OUTER_TAG,
  type Place,
  TAG_PLACES,
  TCI_BITS,
  TCI_WORD,
} from './entry.ts';
import { type Field, type Subfield, TABLE_KEY_SIZE } from './fields.ts';
import { KEY_WORDS } from './match.ts';
import { ETH_IPV4, ETH_IPV6, ETH_MPLS, ETH_MPLS_MULTICAST } from './protocols.ts';
import { maskOf, readSubfield } from './subfield.ts';

const ALL = 0xffff_ffff;
const FLOW_KEY_WORDS = KEY_SIZE / 4;
const TYPE_BITS = 0xffff_0000;
const PROTO_WORD = Key.nwProto >> 2; // the protocol in the low byte, the fragment kind in the high one
const PROTO_BITS = 0xff;
const FRAG_BITS = 0x0300_0000;
const BEHIND_NETWORK_WORD = Key.ctState >> 2;
const PORT_BITS = 0xffff; // of the first word; the rest is the recirculation number
const PORTS_WORD = Key.tpSrc >> 2;
const FLAGS_WORD = Key.tcpFlags >> 2;
const FLAGS_BITS = 0xffff;
const ICMP_WORD = PORTS_WORD;
const ICMP_TYPE_AND_CODE = 0xff00_ff00; // the low bytes of both ports
/** Of neighbour discovery, or the addresses of a connection. */
const LAST_WORDS = [Key.ndTarget >> 2, Key.ctDst12 >> 2] as const;
const isLast = (word: number): boolean => word >= LAST_WORDS[0] && word <= LAST_WORDS[1];
const CONNECTION_WORD = Key.ctState >> 2; // state, protocol and zone
const CONNECTION_PROTO_BITS = 0xff00;
const CONNECTION_PORTS_WORD = Key.ctTpSrc >> 2;
/** Zero in packets that have not been tracked. */
export const CONNECTION_WORDS = [
  Key.ctState,
  Key.ctMark,
  Key.ctTpSrc,
  Key.ctLabel,
  Key.ctLabel4,
  Key.ctLabel8,
  Key.ctLabel12,
].map((offset) => offset >> 2);

/** The words of the network and transport headers; of the one with the TCP flags only those. */
export const NETWORK_WORDS: readonly number[] = [...Array(FLOW_KEY_WORDS).keys()].filter(
  (word) => (word >= PROTO_WORD && word < BEHIND_NETWORK_WORD) || word === Key.ipv6Label >> 2 || isLast(word),
);
const networkBits = (word: number): number => (word === FLAGS_WORD ? FLAGS_BITS : ALL);

const PRESENT = swap16(VLAN_PRESENT);

// A label stack entry (RFC 3032 §2.1).
const BOTTOM = 0x100;
const IPV6_EXPLICIT_NULL = 2;
const DEFAULT_TTL = 64;

const isMplsType = (type: number): boolean => type === ETH_MPLS || type === ETH_MPLS_MULTICAST;
const isVlanType = (type: number): boolean => type === 0x8100 || type === 0x88a8;

const NO_ENTRIES: readonly Entry[] = [];

/** A header that labels hide. */
interface Hidden {
  readonly ethType: number;
  readonly words: Uint32Array;
  readonly written: Uint32Array;
}

/** What `restore` takes back: all but what was seen. */
export interface PacketState extends Hidden {
  readonly tags: readonly Entry[];
  readonly labels: readonly Entry[];
  readonly inner: Hidden | undefined;
  readonly isOpaque: boolean;
  readonly isTracked: boolean;
  readonly isMoved: boolean;
}

export class Packet {
  /** The table key as it is now. */
  readonly words: Uint32Array;
  /** Bits of `words` that are the same in all packets that take this way, because actions wrote them. */
  readonly written: Uint32Array;
  /** Bits of the flow key as the packet brought it that decided something: the megaflow's mask. */
  readonly seen: Uint32Array;
  /** The same as bytes, in this order: the three are one buffer, for buffers take most of the time. */
  readonly bytes: Uint8Array;
  tags: readonly Entry[];
  labels: readonly Entry[];
  inner: Hidden | undefined;
  /** Where the tables stopped when the packet was sent round; 0: it has not been. Not among `words`. */
  readonly recirculation: number;
  /** Host order. */
  ethType: number;
  /** The headers behind the Ethernet type are not known. */
  isOpaque = false;
  /** The tables see what has been found out about its connection, if anything. */
  isTracked: boolean;
  /** What a label that was popped left behind, by its number. */
  readonly uncovered = new Map<number, number>();

  /** Whether tags or labels may stand elsewhere than where the packet brought them. */
  #isMoved = false;
  #entries = 0;
  readonly #key: Uint8Array;

  /** @param key KEY_SIZE bytes; they must stay the same while the packet is used */
  constructor(key: Uint8Array) {
    this.#key = key;
    const buffer = new ArrayBuffer(2 * TABLE_KEY_SIZE + KEY_SIZE);
    this.bytes = new Uint8Array(buffer);
    this.bytes.set(key);
    this.words = new Uint32Array(buffer, 0, KEY_WORDS);
    this.recirculation = this.words[0]! >>> 16;
    this.words[0]! &= PORT_BITS;
    this.written = new Uint32Array(buffer, TABLE_KEY_SIZE, KEY_WORDS);
    this.seen = new Uint32Array(buffer, 2 * TABLE_KEY_SIZE, FLOW_KEY_WORDS);
    this.ethType = swap16(this.words[TCI_WORD]! >>> 16);
    this.tags = [this.#entryAt(OUTER_TAG), this.#entryAt(INNER_TAG)];
    this.labels = this.isMpls ? LABEL_PLACES.map((place) => this.#entryAt(place)) : NO_ENTRIES;
    // What is behind the datapath's key is known from the start.
    for (let word = FLOW_KEY_WORDS; word < KEY_WORDS; word++) this.written[word] = ALL;
    // What the other bits of the key mean depends on these, so every megaflow matches them.
    this.seen[0] = ALL;
    this.seen[TCI_WORD] = TYPE_BITS;
    if (this.isIp) this.seen[PROTO_WORD] = FRAG_BITS;
    this.isTracked = this.recirculation !== 0;
    // So are these zeros.
    if (!this.isTracked) for (const word of CONNECTION_WORDS) this.written[word] = ALL;
  }

  /** `seen` as bytes. */
  get mask(): Uint8Array {
    return this.bytes.subarray(2 * TABLE_KEY_SIZE);
  }

  /** What is behind the datapath's key, as bytes. */
  get pipeline(): Uint8Array {
    return this.bytes.subarray(KEY_SIZE, TABLE_KEY_SIZE);
  }

  /** The port that counts as ingress. An action may have changed it. */
  get inPort(): number {
    return this.words[0]!;
  }

  set inPort(port: number) {
    this.words[0] = port;
  }

  get isIp(): boolean {
    return this.ethType === ETH_IPV4 || this.ethType === ETH_IPV6;
  }

  get isMpls(): boolean {
    return isMplsType(this.ethType);
  }

  /** A word of the key as the packet brought it. */
  brought(word: number): number {
    const [key, at] = [this.#key, 4 * word];
    return (key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)) >>> 0;
  }

  /** Notes that bits of a word decided something. */
  look(word: number, bits: number): void {
    const own = bits & ~this.written[word]!;
    if (own === 0) return;
    if (this.#isMoved) this.#lookAtOrigin(word, own);
    else this.seen[word]! |= own;
    const isConnection = word === CONNECTION_PORTS_WORD || (isLast(word) && this.#isInConnection);
    const isDiscovery = isLast(word) && !isConnection;
    const isTransport = word === PORTS_WORD || (word === FLAGS_WORD && (own & FLAGS_BITS) !== 0);
    if (isConnection) this.look(CONNECTION_WORD, CONNECTION_PROTO_BITS);
    if (isTransport || isDiscovery) this.look(PROTO_WORD, PROTO_BITS);
    if (isDiscovery) this.look(ICMP_WORD, ICMP_TYPE_AND_CODE);
  }

  /** Whether any of these bits is the same in every packet that takes this way. */
  isSettled(word: number, bits: number): boolean {
    const seen = this.#isMoved ? this.#seenAtOrigin(word) : this.seen[word]!;
    return (bits & (seen | this.written[word]!)) !== 0;
  }

  /** Which bits of an entry, as it came in, decided something. */
  seenOf({ origin }: Entry): number {
    return origin ? (this.seen[origin.word]! >>> origin.shift) & origin.bits : 0;
  }

  /** Whether the packet has a field; looks at what that rests on. */
  has({ requires }: Field): boolean {
    if (!requires) return true;
    const { onConnection, ethTypes, protocols, icmpTypes } = requires;
    if (ethTypes && !ethTypes.includes(this.ethType)) return false;
    if (onConnection) {
      this.look(CONNECTION_WORD, CONNECTION_PROTO_BITS);
      return this.#isInConnection;
    }
    if (!protocols) return true;
    this.look(PROTO_WORD, PROTO_BITS);
    if (!protocols.includes(this.words[PROTO_WORD]! & PROTO_BITS) || this.#isLaterFragment) return false;
    if (!icmpTypes) return true;
    this.look(ICMP_WORD, ICMP_TYPE_AND_CODE);
    const [type, code] = [(this.words[ICMP_WORD]! >>> 8) & 0xff, this.words[ICMP_WORD]! >>> 24];
    return icmpTypes.includes(type) && code === 0;
  }

  /** The number in some bits of a field, which are looked at; 0 when the packet does not have it. */
  read(subfield: Subfield): bigint {
    const { field } = subfield;
    if (!this.has(field)) return 0n;
    this.#lookAt(field.offset, maskOf(subfield));
    return readSubfield(this.bytes, subfield);
  }

  /** Some bits of a field's bytes, which are looked at; zeros when the packet does not have it. */
  readMasked(field: Field, mask: Uint8Array): Uint8Array {
    if (!this.has(field)) return new Uint8Array(mask.length);
    this.#lookAt(field.offset, mask);
    return mask.map((bits, i) => this.bytes[field.offset + i]! & bits);
  }

  /**
   * Sets bits of a field; a packet that does not have it stays as it is.
   * @param mayAddTag whether setting a tag's field may add one
   */
  set(field: Field, value: Uint8Array, mask: Uint8Array, mayAddTag: boolean): void {
    if (field.offset === Key.vlanTci) {
      this.#writeTag(value[0]! | (value[1]! << 8), mask[0]! | (mask[1]! << 8), mayAddTag);
    } else if (this.has(field)) {
      this.write(field.offset, value, mask);
    }
  }

  /** Sets bits of key bytes from `offset` on; not for the tag. */
  write(offset: number, value: Uint8Array, mask: Uint8Array): void {
    const { bytes } = this;
    for (let i = 0; i < value.length; i++) {
      bytes[offset + i] = (bytes[offset + i]! & ~mask[i]!) | value[i]!;
      bytes[TABLE_KEY_SIZE + offset + i]! |= mask[i]!;
    }
    if (!this.isMpls || offset >> 2 !== LABEL_WORD) return;
    const [top, ...rest] = this.labels;
    this.labels = [{ ...top!, bits: this.words[LABEL_WORD]!, written: this.written[LABEL_WORD]! }, ...rest];
  }

  pushTag(tpid: number, tci = PRESENT): void {
    this.#setTags([this.#made(tpid, tci, TCI_BITS), ...this.tags]);
  }

  /** Takes the outermost tag off; nothing when there is none. */
  popTag(): void {
    if (!this.#lookForTag()) return;
    this.#setTags(this.tags.slice(1));
    if (this.tags.length === 0 && isVlanType(this.ethType)) this.isOpaque = true;
  }

  /** Pushes a label: a copy of the outermost, or explicit null (RFC 3032 §2.1). */
  pushLabel(ethType: number): void {
    const bits = this.#nextLabel();
    if (!this.isMpls) {
      this.inner = { ethType: this.ethType, words: this.words.slice(), written: this.written.slice() };
      this.#hideNetwork();
    }
    this.#setLabels(ethType, [this.#made(ethType, bits, ALL), ...this.labels]);
  }

  /** Takes the outermost label off; nothing when there is none. The packet is then of type `ethType`. */
  popLabel(ethType: number): void {
    const [top, ...rest] = this.labels;
    if (!this.isMpls || !top) return;
    this.look(LABEL_WORD, swap32(BOTTOM));
    const isBottom = (swap32(top.bits) & BOTTOM) !== 0;
    this.uncovered.set(top.number, ethType);
    if (rest.length === 0 && this.inner?.ethType === ethType) this.#showNetwork(this.inner);
    else if (rest.length === 0 || isBottom || !isMplsType(ethType)) {
      this.#hideNetwork();
      this.isOpaque = true;
    }
    this.#setLabels(ethType, rest);
  }

  /** The tables forget what they know of its connection. */
  untrack(): void {
    for (const word of CONNECTION_WORDS) this.#put(word, ALL, 0, ALL);
    this.isTracked = false;
  }

  save(): PacketState {
    const { words, written, tags, labels, inner, ethType, isOpaque, isTracked } = this;
    const isMoved = this.#isMoved;
    return {
      words: words.slice(),
      written: written.slice(),
      tags,
      labels,
      inner,
      ethType,
      isOpaque,
      isTracked,
      isMoved,
    };
  }

  restore(state: PacketState): void {
    this.words.set(state.words);
    this.written.set(state.written);
    this.tags = state.tags;
    this.labels = state.labels;
    this.inner = state.inner;
    this.ethType = state.ethType;
    this.isOpaque = state.isOpaque;
    this.isTracked = state.isTracked;
    this.#isMoved = state.isMoved;
  }

  /** A later fragment has no transport header, so nothing in it can be read or set. */
  get #isLaterFragment(): boolean {
    return this.isIp && this.bytes[Key.nwFrag]! > 1;
  }

  /** The first packet of its connection is known. */
  get #isInConnection(): boolean {
    return (this.words[CONNECTION_WORD]! & CONNECTION_PROTO_BITS) !== 0;
  }

  #lookAt(offset: number, mask: Uint8Array): void {
    for (let i = 0; i < mask.length; i++) {
      const at = offset + i;
      this.look(at >> 2, mask[i]! << (8 * (at & 3)));
    }
  }

  #entryAt(origin: Place): Entry {
    const bits = (this.words[origin.word]! >>> origin.shift) & origin.bits;
    return { number: this.#entries++, type: 0, bits: bits >>> 0, written: 0, origin };
  }

  #made(type: number, bits: number, written: number): Entry {
    return { number: this.#entries++, type, bits, written, origin: undefined };
  }

  #lookForTag(): boolean {
    this.look(TCI_WORD, PRESENT);
    return (this.words[TCI_WORD]! & PRESENT) !== 0;
  }

  /**
   * Sets bits of the outermost tag. The bit that says that there is a tag is one of them: setting it
   * adds a tag where there is none, if `mayAdd`; clearing it takes the tag away.
   */
  #writeTag(value: number, mask: number, mayAdd: boolean): void {
    const isTagged = this.#lookForTag();
    const [top, ...rest] = this.tags;
    const tci = ((top?.bits ?? 0) & ~mask) | value;
    if (!(tci & PRESENT)) this.popTag();
    else if (isTagged && top) {
      this.tags = [{ ...top, bits: tci, written: top.written | mask }, ...rest];
      this.#show(TAG_PLACES, this.tags);
    } else if (mayAdd) this.pushTag(0x8100, tci);
  }

  #setTags(tags: readonly Entry[]): void {
    this.#isMoved = true;
    this.tags = tags;
    this.#show(TAG_PLACES, tags);
  }

  #setLabels(ethType: number, labels: readonly Entry[]): void {
    this.#isMoved = true;
    this.labels = labels;
    this.ethType = ethType;
    this.#put(TCI_WORD, TYPE_BITS, swap16(ethType) << 16, TYPE_BITS);
    if (this.isMpls && !this.isOpaque) this.#show(LABEL_PLACES, labels);
  }

  /** Puts entries where the key shows them. Places without an entry are known to be empty. */
  #show(places: readonly Place[], entries: readonly Entry[]): void {
    for (const [i, { word, shift, bits }] of places.entries()) {
      const entry = entries[i];
      this.#put(word, bits << shift, (entry?.bits ?? 0) << shift, (entry?.written ?? bits) << shift);
    }
  }

  #put(word: number, bits: number, value: number, written: number): void {
    this.words[word] = (this.words[word]! & ~bits) | value;
    this.written[word] = (this.written[word]! & ~bits) | written;
  }

  /** Tags and labels that a word shows, and where. */
  #shownIn(word: number): { place: Place; entry: Entry | undefined }[] {
    const shown = TAG_PLACES.map((place, i) => ({ place, entry: this.tags[i] }));
    if (this.isMpls) shown.push(...LABEL_PLACES.map((place, i) => ({ place, entry: this.labels[i] })));
    return shown.filter(({ place }) => place.word === word);
  }

  #lookAtOrigin(word: number, own: number): void {
    let rest = own;
    for (const { place, entry } of this.#shownIn(word)) {
      const bits = (own >>> place.shift) & place.bits;
      rest &= ~(place.bits << place.shift);
      if (entry?.origin) this.seen[entry.origin.word]! |= bits << entry.origin.shift;
    }
    this.seen[word]! |= rest;
  }

  #seenAtOrigin(word: number): number {
    let seen = this.seen[word]!;
    for (const { place, entry } of this.#shownIn(word)) {
      seen &= ~(place.bits << place.shift);
      if (entry) seen |= this.seenOf(entry) << place.shift;
    }
    return seen;
  }

  #hideNetwork(): void {
    for (const word of NETWORK_WORDS) this.#put(word, networkBits(word), 0, networkBits(word));
  }

  #showNetwork({ words, written }: Hidden): void {
    this.inner = undefined;
    for (const word of NETWORK_WORDS) {
      const bits = networkBits(word);
      this.#put(word, bits, words[word]! & bits, written[word]! & bits);
    }
  }

  /** What the next label pushed is, as it lies in memory. */
  #nextLabel(): number {
    if (this.isMpls) {
      this.look(LABEL_WORD, ALL);
      return (this.words[LABEL_WORD]! & ~swap32(BOTTOM)) >>> 0;
    }
    if (!this.isIp) return swap32(BOTTOM | DEFAULT_TTL);
    this.look(PROTO_WORD, 0x00ff_fc00);
    const [tos, ttl] = [(this.words[PROTO_WORD]! >>> 8) & 0xff, (this.words[PROTO_WORD]! >>> 16) & 0xff];
    const label = this.ethType === ETH_IPV6 ? IPV6_EXPLICIT_NULL : 0;
    const trafficClass = (tos >>> 2) & 7;
    return swap32(((label << 12) | (trafficClass << 9) | BOTTOM | (ttl || DEFAULT_TTL)) >>> 0);
  }
}
