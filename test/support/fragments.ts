/** Datagrams to be cut, and fragments put together again the plain way. */
import {
  concat,
  type EthernetFields,
  type Extension,
  ethernet,
  fragmentHeader,
  get16,
  type Ipv4Fields,
  type Ipv6Fields,
  ipv4,
  ipv6,
  MORE_FRAGMENTS,
  type Transport,
} from './packets.ts';

/** Where a cut begins and ends, in bytes of the datagram; `more`: whether it says that others follow it. */
export type Cut = [start: number, end: number, more?: boolean];

export interface Datagram {
  /** As it was before it was cut. */
  whole: Uint8Array;
  /** Bytes that are cut. */
  length: number;
  /** The fragment with these bytes. */
  cut(...cut: Cut): Uint8Array;
}

/** RFC 791 §3.2. Options are in the first fragment alone. */
export function datagram4(fields: Ipv4Fields, inner: Transport, link: EthernetFields = {}): Datagram {
  const { bytes } = ipv4(fields, inner);
  const body = bytes.subarray((bytes[0]! & 15) * 4);
  const { options = new Uint8Array() } = fields;
  return {
    whole: ethernet(link, { type: 0x0800, bytes }),
    length: body.length,
    cut(start, end, more = end < body.length) {
      const fragment = (start / 8) | (more ? MORE_FRAGMENTS : 0);
      const header = { ...fields, fragment, options: start === 0 ? options : new Uint8Array() };
      return ethernet(link, ipv4(header, { protocol: inner.protocol, bytes: body.slice(start, end) }));
    },
  };
}

/** RFC 8200 §4.5. The extension headers of `fields` come before the fragment header, `behind` is cut with the rest. */
export function datagram6(
  fields: Ipv6Fields & { id?: number },
  inner: Transport,
  behind: readonly Extension[] = [],
  link: EthernetFields = {},
): Datagram {
  const { extensions = [], id = 1, ...rest } = fields;
  const inFront = extensions.reduce((n, { bytes }) => n + bytes.length, 40);
  const whole = ipv6({ ...rest, extensions: [...extensions, ...behind] }, inner);
  const body = whole.bytes.subarray(inFront);
  const protocol = behind[0]?.protocol ?? inner.protocol;
  return {
    whole: ethernet(link, whole),
    length: body.length,
    cut(start, end, more = end < body.length) {
      const header = fragmentHeader(start, more, id);
      const network = { ...rest, extensions: [...extensions, header] };
      return ethernet(link, ipv6(network, { protocol, bytes: body.slice(start, end) }));
    },
  };
}

/** Cuts a datagram into fragments of so many bytes, a multiple of eight, and one that has the rest. */
export function cutAll({ length, cut }: Datagram, bytes: number): Uint8Array[] {
  const fragments: Uint8Array[] = [];
  for (let start = 0; start < length; start += bytes)
    fragments.push(cut(start, Math.min(start + bytes, length)));
  return fragments;
}

/** What IPv4 fragments without options carry, put together. */
export function carried4(fragments: readonly Uint8Array[]): Uint8Array {
  return concat(...fragments.map((frame) => frame.subarray(34, 14 + get16(frame, 16))));
}

/** … IPv6 fragments that have no other extension header. */
export function carried6(fragments: readonly Uint8Array[]): Uint8Array {
  return concat(...fragments.map((frame) => frame.subarray(62, 54 + get16(frame, 18))));
}
