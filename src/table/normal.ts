/**
 * NORMAL: the packet goes where a VLAN-aware learning switch would send it (IEEE 802.1Q §8). Every port
 * carries every VLAN, tagged; untagged packets are VLAN 0.
 */
import { DROP_OUTPUT_TO_INGRESS, DROP_RESERVED_MULTICAST, Key, VLAN_PRESENT } from '../datapath.ts';
import { swap16 } from './bytes.ts';
import { TCI_WORD } from './entry.ts';
import { isMulticast, type Sighting, type Stations } from './mac.ts';
import type { Packet } from './packet.ts';

/** A port as the tables see it. */
export interface BridgePort {
  readonly name: string;
  /** Whether it has its link. */
  readonly up: boolean;
  /** Whether frames for everybody go there. Default: yes. */
  readonly flooded?: boolean;
}

/** The bridge that NORMAL is: its ports, what it has learned and whether it learns now. */
export interface Bridge {
  readonly macs: Stations;
  /** By number. */
  readonly ports: ReadonlyMap<number, BridgePort>;
  readonly nowMs: number;
  /** Whether senders are learned: false when a flow is only checked or shown. */
  readonly learn: boolean;
}

export type Verdict =
  | { readonly kind: 'flood' }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'drop'; readonly reason: number };

/** Frames to 01:80:c2:00:00:00 to …:0f are for the bridge itself and never forwarded (IEEE 802.1Q §8.6.3). */
const isReserved = (mac: number): boolean => Math.floor(mac / 16) === 0x0180c200000;

const VID_BITS = swap16(VLAN_PRESENT | 0x0fff);

function lookAtMac(packet: Packet, offset: number): number {
  const { bytes } = packet;
  const last = (offset + 5) >> 2;
  const first = offset >> 2;
  // Both addresses begin or end inside a word that they share; `offset` is 8 or 14.
  packet.look(first, offset & 3 ? 0xffff_0000 : 0xffff_ffff);
  packet.look(last, offset & 3 ? 0xffff_ffff : 0x0000_ffff);
  let mac = 0;
  for (let i = 0; i < 6; i++) mac = mac * 256 + bytes[offset + i]!;
  return mac;
}

/**
 * Decides by the learned addresses and learns the sender's.
 * @param senders gets what there was to learn, to be learned again while the flow is used
 */
export function forwardNormally(packet: Packet, bridge: Bridge, senders: Sighting[]): Verdict {
  const { macs, ports, nowMs, learn } = bridge;
  const destination = lookAtMac(packet, Key.ethDst);
  const source = lookAtMac(packet, Key.ethSrc);
  packet.look(TCI_WORD, VID_BITS);
  const vlan = swap16(packet.words[TCI_WORD]!) & 0x0fff;

  if (isReserved(destination)) return { kind: 'drop', reason: DROP_RESERVED_MULTICAST };
  const ingress = packet.inPort;
  if (ports.has(ingress)) {
    const sender = { vlan, mac: source, port: ingress };
    senders.push(sender);
    if (learn) macs.learn(sender, nowMs);
  }

  const known = isMulticast(destination) ? undefined : macs.lookup(vlan, destination);
  if (!known || !ports.has(known.port)) return { kind: 'flood' };
  if (known.port === ingress) return { kind: 'drop', reason: DROP_OUTPUT_TO_INGRESS };
  return { kind: 'port', port: known.port };
}
