/**
 * The simulated hosts behind one traffic port. No threads, no sockets, no clock: frames in, frames out, and the
 * time comes along. Equal options and equal calls give equal frames, byte for byte.
 *
 * Each host answers ARP, neighbour discovery, ping, UDP on port 53 (it sends datagrams back) and TCP on port 80
 * (it sends a page of `bytesPerConnection` bytes), over IPv4 and IPv6; real hosts can talk to it. And the hosts
 * of the port together open `connectionsPerSecond` connections to hosts behind other traffic ports.
 */
import { AddressPlan, LocalHosts } from './addresses.ts';
import { Clients } from './clients.ts';
import { ConnectionTable } from './connections.ts';
import { hasIcmpHeader, receiveEcho, Unreachables } from './icmp.ts';
import { isNeighbourMessage } from './neighbour.ts';
import { Outbox } from './outbox.ts';
import { Random } from './random.ts';
import { FrameReader } from './reader.ts';
import { Resolver } from './resolver.ts';
import type { Stack } from './stack.ts';
import { type Fault, noStatistics, type Statistics } from './statistics.ts';
import { responseOf } from './stream.ts';
import { receiveTcp } from './tcp.ts';
import { Timers } from './timers.ts';
import { receiveUdp } from './udp.ts';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  GROUP_BIT,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './wire.ts';
import { FrameWriter } from './writer.ts';

export type { Statistics } from './statistics.ts';
/** What one frame's worth of memory must hold for `emit`. */
export { MAX_FRAME_BYTES } from './wire.ts';

export interface TrafficOptions {
  /** Hosts behind this port, 1 to 10000. */
  hosts: number;
  /** The IPv4 network that all traffic ports share, such as 10.0.0.0/16; addresses.ts says how it is divided. */
  network: string;
  /** The number of this port, by which the addresses of different ports differ. */
  portNumber: number;
  /** The hosts behind other traffic ports, to whom these connect. With none, these only answer. */
  peers: readonly { portNumber: number; hosts: number }[];
  /** Connections that all hosts of the port together open; 0: these only answer. */
  connectionsPerSecond: number;
  /** How many of the connections are of which kind, in proportion; 8 to 1 to 1 by default. */
  mix?: { tcp: number; udp: number; ping: number };
  /** The size of the page that a host serves over TCP; 10000 by default. */
  bytesPerConnection?: number;
  /** The share of the connections that are opened over IPv6, 0 to 1. */
  ipv6: number;
  /** Every frame is tagged with this VLAN, 1 to 4094, and only such frames are taken; without it, none is. */
  vlan?: number;
  /** Any integer. Ports that are to behave differently need different seeds. */
  seed: number;
}

const MAX_HOSTS = 10_000;

const MAX_BYTES_PER_CONNECTION = 2 ** 30;
const MAX_CONNECTIONS_PER_SECOND = 1_000_000;
const DEFAULT_BYTES_PER_CONNECTION = 10_000;
const DEFAULT_MIX = { tcp: 8, udp: 1, ping: 1 };

export class Hosts {
  readonly statistics: Readonly<Statistics>;
  private readonly counters: Statistics = noStatistics();
  private readonly vlan: number;
  private readonly reader = new FrameReader();
  private readonly writer: FrameWriter;
  private readonly hosts: LocalHosts;
  private readonly stack: Stack;
  private readonly resolver: Resolver;
  private readonly unreachables: Unreachables;
  private readonly clients: Clients;

  /** Throws a RangeError that says which option is wrong and what was expected. */
  constructor(options: TrafficOptions) {
    const { hosts, network, portNumber, peers, connectionsPerSecond, ipv6, vlan = 0, seed } = options;
    const { mix = DEFAULT_MIX, bytesPerConnection = DEFAULT_BYTES_PER_CONNECTION } = options;
    checkNumbers(options, bytesPerConnection, mix);
    const plan = new AddressPlan(network);
    for (const port of [options, ...peers]) plan.check(port.portNumber, port.hosts);
    const hasItself = peers.some((peer) => peer.portNumber === portNumber);
    if (hasItself) throw new RangeError(`peers has port ${portNumber} itself; expected other traffic ports`);

    const { counters } = this;
    this.statistics = counters;
    this.vlan = vlan;
    this.writer = new FrameWriter(vlan);
    this.hosts = new LocalHosts(plan, portNumber, hosts);
    this.stack = {
      hosts: this.hosts,
      random: new Random(seed),
      timers: new Timers(),
      outbox: new Outbox(vlan, counters),
      connections: new ConnectionTable(),
      statistics: counters,
      response: responseOf(bytesPerConnection),
    };
    this.resolver = new Resolver(this.stack);
    this.unreachables = new Unreachables(this.stack);
    this.clients = new Clients(this.stack, this.resolver, plan, { peers, connectionsPerSecond, mix, ipv6 });
  }

  /**
   * A frame for these hosts arrives: `length` bytes of `frame` from `offset` on, Ethernet header first, without
   * a frame check sequence, all checksums complete. It is not kept. `nowMs` must not go back between calls, here
   * and in `emit`; it need not be an integer.
   */
  receive(frame: Uint8Array, offset: number, length: number, nowMs: number): void {
    this.counters.framesReceived++;
    const fault = this.reader.readEthernet(frame, offset, length) ?? this.deliver(frame[offset], nowMs);
    if (fault !== undefined) this.counters[fault]++;
  }

  /**
   * Writes the next frame to send into `into` at `offset`, where MAX_FRAME_BYTES must be free, and returns its
   * length; 0 when there is none now. Call it until it returns 0.
   */
  emit(into: Uint8Array, offset: number, nowMs: number): number {
    this.stack.timers.run(nowMs);
    this.clients.run(nowMs);
    this.writer.aim(into, offset);
    for (;;) {
      const length = this.stack.outbox.write(this.writer, nowMs);
      if (length > 0) {
        this.counters.framesSent++;
        return length;
      }
      if (this.clients.dueMs() > nowMs) return 0;
      this.clients.run(nowMs);
    }
  }

  /**
   * When `emit` will next have something to do without anything being received: -Infinity for at once, Infinity
   * for never.
   */
  dueMs(): number {
    if (!this.stack.outbox.isEmpty) return -Infinity;
    return Math.min(this.stack.timers.dueMs(), this.clients.dueMs());
  }

  /** Gives the frame that the reader has to whom it is for; returns why it had no effect, if so. */
  private deliver(firstByte: number, nowMs: number): Fault | undefined {
    const { reader, hosts } = this;
    const isForGroup = (firstByte & GROUP_BIT) !== 0;
    const host = hosts.indexOfMac(reader.destinationMac);
    if (reader.vlan !== this.vlan || (host < 0 && !isForGroup)) return 'framesIgnored';
    switch (reader.etherType) {
      case ETHERTYPE_ARP:
        return this.resolver.receiveArp(reader, nowMs);
      case ETHERTYPE_IPV4:
        if (isForGroup) return 'framesIgnored';
        return reader.readIp() ?? this.deliverPacket(host, nowMs);
      case ETHERTYPE_IPV6:
        return reader.readIp() ?? this.deliverPacket(host, nowMs);
      default:
        return 'framesIgnored';
    }
  }

  /** `host` is whom the Ethernet header names, -1 for a group. */
  private deliverPacket(host: number, nowMs: number): Fault | undefined {
    const { reader, stack } = this;
    const isForHost = host >= 0 && this.hosts.indexOfAddress(reader.destination) === host;
    const icmp = reader.source.isIpv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
    if (reader.protocol === icmp) {
      if (!hasIcmpHeader(reader)) return 'framesMalformed';
      if (!reader.checksumHolds()) return 'checksumsBad';
      if (isNeighbourMessage(reader)) return this.resolver.receiveNeighbour(reader, nowMs);
      return isForHost ? receiveEcho(stack, reader) : 'framesIgnored';
    }
    if (!isForHost) return 'framesIgnored';
    if (reader.protocol === PROTOCOL_TCP) return receiveTcp(stack, reader, nowMs);
    if (reader.protocol === PROTOCOL_UDP) return receiveUdp(stack, this.unreachables, reader, nowMs);
    return 'framesIgnored';
  }
}

/** Throws a RangeError unless every number is in its range. */
function checkNumbers(
  options: TrafficOptions,
  bytesPerConnection: number,
  mix: { tcp: number; udp: number; ping: number },
): void {
  const integer = (name: string, value: number, least: number, most: number): void => {
    if (!Number.isInteger(value)) throw new RangeError(`${name} is ${value}; expected an integer`);
    range(name, value, least, most);
  };
  const range = (name: string, value: number, least: number, most: number): void => {
    if (!(value >= least && value <= most)) {
      throw new RangeError(`${name} is ${value}; expected ${least} to ${most}`);
    }
  };
  integer('hosts', options.hosts, 1, MAX_HOSTS);
  for (const { hosts } of options.peers) integer('hosts of a peer', hosts, 1, MAX_HOSTS);
  range('connectionsPerSecond', options.connectionsPerSecond, 0, MAX_CONNECTIONS_PER_SECOND);
  integer('bytesPerConnection', bytesPerConnection, 0, MAX_BYTES_PER_CONNECTION);
  range('ipv6', options.ipv6, 0, 1);
  if (options.vlan !== undefined) integer('vlan', options.vlan, 1, 4094);
  integer('seed', options.seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  let weights = 0;
  for (const [kind, weight] of Object.entries(mix)) {
    range(`mix.${kind}`, weight, 0, 1e9);
    weights += weight;
  }
  if (weights === 0)
    throw new RangeError('mix is all zeros; expected a weight above zero for tcp, udp or ping');
}
