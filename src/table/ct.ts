/** The action ct as the operands of OP_CT and OP_CT_NAT (opcode.ts), and these as text. */
import {
  CT_COMMIT,
  CT_FORCE,
  CT_FTP,
  CT_NAT,
  CT_TFTP,
  NAT_DESTINATION,
  NAT_HAS_ADDRESS,
  NAT_HAS_PORTS,
  NAT_HASH,
  NAT_PERSISTENT,
  NAT_RANDOM,
  NAT_SOURCE,
} from '../datapath.ts';
import type { CtAction, Nat } from './action.ts';
import { printNat } from './print-actions.ts';
import { ETH_IPV4, ETH_IPV6 } from './protocols.ts';

const ADDRESS_BYTES = new Map([
  [ETH_IPV4, 4],
  [ETH_IPV6, 16],
]);
const ADDRESS_WORDS = 4;

/** The sum of the flags that are wanted. */
const flagsOf = (...wanted: readonly (readonly [flag: number, isWanted: boolean])[]): number =>
  wanted.reduce((all, [flag, isWanted]) => (isWanted ? all | flag : all), 0);

export const ctFlags = ({ commit, force, nat, helper }: CtAction): number =>
  flagsOf(
    [CT_COMMIT, commit],
    [CT_FORCE, force],
    [CT_NAT, nat !== undefined],
    [CT_FTP, helper === 'ftp'],
    [CT_TFTP, helper === 'tftp'],
  );

/** An address as it lies in memory, four words whatever its length. */
function addressWords(address: Uint8Array | undefined): Uint32Array {
  const words = new Uint32Array(ADDRESS_WORDS);
  if (address) new Uint8Array(words.buffer).set(address);
  return words;
}

/**
 * The operands of OP_CT_NAT; undefined when new connections are not translated, or packets of this type cannot
 * have the addresses, as may be in a group.
 */
export function natWords(nat: Nat, ethType: number): readonly number[] | undefined {
  const { end, addresses, ports, persistent, choice } = nat;
  if (end === undefined) return undefined;
  if (addresses && addresses.first.length !== ADDRESS_BYTES.get(ethType)) return undefined;
  return [
    flagsOf(
      [NAT_SOURCE, end === 'src'],
      [NAT_DESTINATION, end === 'dst'],
      [NAT_PERSISTENT, persistent === true],
      [NAT_HASH, choice === 'hash'],
      [NAT_RANDOM, choice === 'random'],
      [NAT_HAS_ADDRESS, addresses !== undefined],
      [NAT_HAS_PORTS, ports !== undefined],
    ),
    ...addressWords(addresses?.first),
    ...addressWords(addresses?.last),
    ports ? ((ports.last << 16) | ports.first) >>> 0 : 0,
  ];
}

/** The operands of OP_CT_NAT for packets of a type as text. */
export function printNatWords(words: Uint32Array, ethType: number | undefined): string {
  const [flags, ports] = [words[0]!, words.at(-1)!];
  const bytes = ADDRESS_BYTES.get(ethType ?? ETH_IPV4) ?? 0;
  const address = (word: number) => new Uint8Array(words.slice(word, word + ADDRESS_WORDS).buffer, 0, bytes);
  return printNat({
    end: flags & NAT_SOURCE ? 'src' : 'dst',
    ...(flags & NAT_HAS_ADDRESS && { addresses: { first: address(1), last: address(1 + ADDRESS_WORDS) } }),
    ...(flags & NAT_HAS_PORTS && { ports: { first: ports & 0xffff, last: ports >>> 16 } }),
    ...(flags & NAT_PERSISTENT && { persistent: true }),
    ...(flags & (NAT_HASH | NAT_RANDOM) && { choice: flags & NAT_HASH ? 'hash' : 'random' }),
  });
}

/**
 * The operands of OP_CT as text.
 * @param more what stood before it for it
 */
export function printCtWords(
  words: Uint32Array,
  more: { readonly label?: string; readonly nat?: string },
): string {
  const [flags, zone, mark, markMask] = words as unknown as [number, number, number, number];
  const parts = [
    flags & CT_COMMIT && (flags & CT_FORCE ? 'force_commit' : 'commit'),
    zone && `zone=${zone}`,
    markMask && `mark=0x${mark.toString(16)}/0x${markMask.toString(16)}`,
    more.label && `label=${more.label}`,
    flags & CT_FTP && 'helper=ftp',
    flags & CT_TFTP && 'helper=tftp',
    flags & CT_NAT && (more.nat ?? 'nat'),
  ];
  return `ct(${parts.filter((part) => part).join(',')})`;
}
