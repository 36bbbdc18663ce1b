/**
 * From the match part of a flow's text to a `Match`.
 *
 * A field's meaning may depend on the protocol (`tp_src` of an ICMP packet is its type), and the order of
 * fields is free, so what names the protocol is read first.
 */
import { VLAN_PRESENT } from '../datapath.ts';
import { ones } from './bytes.ts';
import { type Known, requireField, resolveField } from './context.ts';
import { type Field, fieldOf, fieldsNamed } from './fields.ts';
import { bytesOf, KEY_WORDS, Match } from './match.ts';
import { PROTOCOLS, type Protocol, saysConnection } from './protocols.ts';
import { fieldInBits, isWholeField, parseSubfield, placed } from './subfield.ts';
import { fail, type Item, parseLongNumber, type Token } from './syntax.ts';
import { type Masked, type PortNumbers, parseValue } from './values.ts';

const ETH_TYPE = fieldOf('eth_type');
const NW_PROTO = fieldOf('nw_proto');
const ICMPV6_TYPE = fieldOf('icmpv6_type');
const CT_STATE = fieldOf('ct_state');
const VLAN_TCI = fieldOf('vlan_tci');

const protocols = new Map<string, Protocol>(PROTOCOLS.flatMap((row) => row.names.map((name) => [name, row])));

const tci = (value: number, mask: number): Masked => ({
  value: Uint8Array.of(value >> 8, value & 0xff),
  mask: Uint8Array.of(mask >> 8, mask & 0xff),
});
const TAGGED = tci(VLAN_PRESENT, VLAN_PRESENT);
const UNTAGGED = tci(0, 0xffff);
const isTagged = (value: Uint8Array): boolean => (value[0]! & TAGGED.value[0]!) !== 0;

/** A match as far as it is read. */
class Builder implements Known {
  readonly #value = new Uint32Array(KEY_WORDS);
  readonly #mask = new Uint32Array(KEY_WORDS);
  readonly #values = bytesOf(this.#value);
  readonly #masks = bytesOf(this.#mask);

  get ethType(): number | undefined {
    return this.#pinned(ETH_TYPE);
  }

  get nwProto(): number | undefined {
    return this.#pinned(NW_PROTO);
  }

  get icmpType(): number | undefined {
    return this.#pinned(ICMPV6_TYPE);
  }

  get hasConnection(): boolean {
    return saysConnection(this.#values[CT_STATE.offset]!, this.#masks[CT_STATE.offset]!);
  }

  /** @throws FlowError when something said before demands other bits */
  add(field: Field, { value, mask }: Masked, at: Token): void {
    const [values, masks] = [this.#values, this.#masks];
    for (let i = 0; i < field.bytes; i++) {
      const byte = field.offset + i;
      if ((values[byte]! ^ value[i]!) & masks[byte]! & mask[i]!) {
        fail(at, `"${at.text}" contradicts what was said before`, 'a match that some packet meets');
      }
      values[byte]! |= value[i]!;
      masks[byte]! |= mask[i]!;
    }
  }

  build(): Match {
    return new Match(this.#value, this.#mask);
  }

  /** The number of a field of which every bit is said. */
  #pinned({ offset, bytes, bits }: Field): number | undefined {
    let number = 0;
    for (let i = 0; i < bytes; i++) {
      if ((this.#masks[offset + i]! & bits[i]!) !== bits[i]) return undefined;
      number = number * 256 + (this.#values[offset + i]! & bits[i]!);
    }
    return number;
  }
}

/** Whether a name means some bits of a field, of which a number is the value: `reg0[0..3]`, `NXM_NX_REG0[]`. */
const isBits = (name: string): boolean => name.includes('[');

/** What others depend on is read first: Ethernet type, then IP protocol, then ICMP type; and a connection's state. */
function stageOf(name: string): number {
  if (protocols.has(name)) return 0;
  const field = fieldInBits(name.replace(/\[.*$/, ''));
  const fields = field ? [...fieldsNamed(name), field] : fieldsNamed(name);
  const stage = [ETH_TYPE, NW_PROTO, ICMPV6_TYPE, CT_STATE].findIndex((first) => fields.includes(first));
  return stage < 0 ? 4 : stage;
}

/** A value of vlan_vid has the bit that says that there is a tag, unlike one of dl_vlan. */
export function checkVlanVid(field: Field, { value, mask }: Masked, at: Token): void {
  if (field.name !== 'vlan_vid' || isTagged(value) || !isTagged(mask) || value.every((byte) => byte === 0))
    return;
  const vid = value[0]! * 256 + value[1]!;
  fail(
    at,
    `vlan_vid "${at.text}" without bit 0x1000`,
    `dl_vlan=${vid} or vlan_vid=0x${(vid | 0x1000).toString(16)}`,
  );
}

function addBits(builder: Builder, name: Token, value: Token): void {
  const bits = parseSubfield(name);
  const { field } = bits;
  requireField(name, field, builder);
  if (!field.maskable && !isWholeField(bits)) {
    fail(name, `some bits of ${field.name}`, `${field.name} without a mask`);
  }
  if (field.onTag) builder.add(VLAN_TCI, TAGGED, name);
  const what = `a number of ${bits.bits} bits`;
  builder.add(field, placed(bits, parseLongNumber(value, what, ones(bits.bits))), name);
}

function addField(builder: Builder, name: Token, value: Token, ports: PortNumbers): void {
  const field = resolveField(name, builder);
  if (value.text === '*' || value.text.toUpperCase() === 'ANY') return;
  if (field.name === 'dl_vlan' && /^(0xffff|65535)$/i.test(value.text)) {
    builder.add(VLAN_TCI, UNTAGGED, name);
    return;
  }
  const masked = parseValue(value, field, ports);
  checkVlanVid(field, masked, value);
  if (field.onTag) builder.add(VLAN_TCI, TAGGED, name);
  builder.add(field, masked, name);
}

/**
 * @param items the match's fields, in any order
 * @throws FlowError
 */
export function parseMatch(items: readonly Item[], ports: PortNumbers): Match {
  const builder = new Builder();
  for (const { name, value } of items.toSorted((a, b) => stageOf(a.name.text) - stageOf(b.name.text))) {
    const protocol = value ? undefined : protocols.get(name.text);
    if (protocol) {
      const { ethType, nwProto } = protocol;
      builder.add(
        ETH_TYPE,
        { value: Uint8Array.of(ethType >> 8, ethType & 0xff), mask: ETH_TYPE.bits },
        name,
      );
      if (nwProto !== undefined) {
        builder.add(NW_PROTO, { value: Uint8Array.of(nwProto), mask: NW_PROTO.bits }, name);
      }
    } else if (value && isBits(name.text)) {
      addBits(builder, name, value);
    } else if (value) {
      addField(builder, name, value, ports);
    } else {
      resolveField(name, builder);
      fail(name, `"${name.text}" without a value`, `${name.text}=VALUE`);
    }
  }
  return builder.build();
}
