/** Ethernet frames with UDP over IPv4, as hex, from what a test says of them. */

export interface UdpFrame {
  ethDst?: string;
  ethSrc?: string;
  nwSrc?: string;
  nwDst?: string;
  /** Bytes of payload. */
  payload?: number;
}

export const STATION_A = '02000000000a';
export const STATION_B = '02000000000b';

const word = (value: number): string => value.toString(16).padStart(4, '0');
const address = (dotted: string): string =>
  dotted
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('');

export function udp({
  ethDst = STATION_B,
  ethSrc = STATION_A,
  nwSrc = '10.9.0.1',
  nwDst = '10.9.0.2',
  payload = 18,
}: UdpFrame = {}): string {
  const ip = `4500${word(28 + payload)}00000000401100${'00'}${address(nwSrc)}${address(nwDst)}`;
  return `${ethDst}${ethSrc}0800${ip}03e807d0${word(8 + payload)}0000${'5a'.repeat(payload)}`;
}

export const arp = (ethSrc = STATION_A): string =>
  `ffffffffffff${ethSrc}0806000108000604${'0001'}${ethSrc}0a090001${'0'.repeat(12)}0a090002`;

/** The same frame with an 802.1Q tag. */
export const tagged = (hex: string, tci: number): string =>
  `${hex.slice(0, 24)}8100${word(tci)}${hex.slice(24)}`;
