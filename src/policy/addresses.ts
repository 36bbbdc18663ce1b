/**
 * Addresses and ports as people write them, and as flows match them: a flow has a value and a mask, so a range
 * becomes the blocks, each a power of two long and aligned to it, that fill it.
 *
 *     8000-8080  =  0x1f40/0xffc0 (8000 to 8063)  0x1f80/0xfff0 (8064 to 8079)  8080
 */
import ipaddr from 'ipaddr.js';

const PORT_MAX = 0xffff;

export type Family = 'ipv4' | 'ipv6';

/** First and last, both within. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** Some bits at the front of a value are given. */
interface Block {
  readonly value: number;
  readonly prefix: number;
}

export const isIpv4 = (text: string): boolean => ipaddr.IPv4.isValidFourPartDecimal(text);

/** An address, or a network without bits beyond its prefix. */
export function isNetwork(text: string): boolean {
  if (isIpv4(text) || (text.includes(':') && ipaddr.IPv6.isValid(text) && !text.includes('%'))) return true;
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(text)) {
    const [address] = ipaddr.IPv4.parseCIDR(text);
    return ipaddr.IPv4.networkAddressFromCIDR(text).toString() === address.toString();
  }
  if (!ipaddr.IPv6.isValidCIDR(text)) return false;
  const [address] = ipaddr.IPv6.parseCIDR(text);
  return ipaddr.IPv6.networkAddressFromCIDR(text).toString() === address.toString();
}

export const familyOf = (network: string): Family => (network.includes(':') ? 'ipv6' : 'ipv4');

export function ipv4Number(text: string): number {
  return text.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);
}

export function ipv4Text(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
}

/** The network that an address such as 10.0.0.1/24 lies in. */
export const networkOf = (cidr: string): string =>
  `${ipaddr.IPv4.networkAddressFromCIDR(cidr)}/${ipaddr.IPv4.parseCIDR(cidr)[1]}`;

/** Whether an IPv4 address lies in a network. */
export const isWithin = (address: string, network: string): boolean =>
  ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(network));

/** `80`, `"80"` or `8000-8080`. */
export function parseRange(text: string | number): Range | undefined {
  const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(text));
  if (!found) return undefined;
  const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
  return first >= 1 && first <= last && last <= PORT_MAX ? { first, last } : undefined;
}

/** `10.0.0.5` or `10.0.0.5:80`. */
export function parseTarget(text: string): { address: string; port?: number } | undefined {
  const [address, port, ...more] = text.split(':');
  if (!isIpv4(address!) || more.length > 0) return undefined;
  if (port === undefined) return { address: address! };
  const range = /^\d+$/.test(port) ? parseRange(port) : undefined;
  return range && { address: address!, port: range.first };
}

/** `203.0.113.1` or `203.0.113.1-203.0.113.4`. */
export function addressRange(text: string): Range {
  const [first, last] = text.split('-');
  return { first: ipv4Number(first!), last: ipv4Number(last ?? first!) };
}

/** How flows match the ports of a range. */
export function portMatches(range: Range): string[] {
  return [...blocks(range, 16)].map(({ value, prefix }) => {
    if (prefix === 16) return String(value);
    const mask = (0xffff << (16 - prefix)) & 0xffff;
    return `0x${value.toString(16)}/0x${mask.toString(16)}`;
  });
}

/** How flows match the IPv4 addresses of a range. */
export function addressMatches(range: Range): string[] {
  return [...blocks(range, 32)].map(({ value, prefix }) =>
    prefix === 32 ? ipv4Text(value) : `${ipv4Text(value)}/${prefix}`,
  );
}

/** The fewest blocks that fill a range of values of so many bits, in order. */
function* blocks({ first, last }: Range, bits: number): Iterable<Block> {
  for (let value = first; value <= last; ) {
    let size = 1;
    let prefix = bits;
    while (prefix > 0 && value % (2 * size) === 0 && value + 2 * size - 1 <= last) {
      size *= 2;
      prefix--;
    }
    yield { value, prefix };
    value += size;
  }
}
