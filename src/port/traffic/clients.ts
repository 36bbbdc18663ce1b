/** The clients among the hosts: when which host opens a connection to whom, all drawn from the seed. */
import type { Address, AddressPlan } from './addresses.ts';
import { Ping } from './icmp.ts';
import type { Resolver } from './resolver.ts';
import type { Stack } from './stack.ts';
import { TCP_SERVICE_PORT, TcpConnection } from './tcp.ts';
import { UDP_SERVICE_PORT, UdpRequest } from './udp.ts';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP } from './wire.ts';
import type { Route } from './writer.ts';

/** Peers are hosts behind another port; weights say how many of the connections are of which kind. */
export interface ClientOptions {
  readonly peers: readonly { readonly portNumber: number; readonly hosts: number }[];
  readonly connectionsPerSecond: number;
  readonly mix: { readonly tcp: number; readonly udp: number; readonly ping: number };
  readonly ipv6: number;
}

/** By protocol; a ping has only the identifier, which is its local port. */
const SERVICE_PORTS: Readonly<Record<number, number>> = {
  [PROTOCOL_TCP]: TCP_SERVICE_PORT,
  [PROTOCOL_UDP]: UDP_SERVICE_PORT,
  [PROTOCOL_ICMP]: 0,
  [PROTOCOL_ICMPV6]: 0,
};

const FIRST_PORT = 1024;
const LAST_PORT = 65535;
const NOT_STARTED = -Infinity;
/** What a clock that jumped missed by more than this is not made up for. */
const MAX_LAG_MS = 1000;

export class Clients {
  private readonly stack: Stack;
  private readonly resolver: Resolver;
  private readonly plan: AddressPlan;
  private readonly options: ClientOptions;
  private readonly peerCount: number;
  private readonly intervalMs: number;
  private readonly ports: Uint16Array;
  private nextMs: number;

  constructor(stack: Stack, resolver: Resolver, plan: AddressPlan, options: ClientOptions) {
    this.stack = stack;
    this.resolver = resolver;
    this.plan = plan;
    this.options = options;
    this.peerCount = options.peers.reduce((count, { hosts }) => count + hosts, 0);
    this.intervalMs = this.peerCount === 0 ? Infinity : 1000 / options.connectionsPerSecond;
    this.ports = new Uint16Array(stack.hosts.count).fill(FIRST_PORT);
    this.nextMs = this.intervalMs === Infinity ? Infinity : NOT_STARTED;
  }

  /** When the next connection is to be opened; Infinity: never. */
  dueMs(): number {
    return this.nextMs;
  }

  /** Opens the next connection if it is due, and no more than that one. */
  run(nowMs: number): void {
    if (nowMs < this.nextMs) return;
    // Several ports that start together should not all open their connections at the same moments.
    if (this.nextMs === NOT_STARTED) this.nextMs = nowMs + this.stack.random.fraction() * this.intervalMs;
    this.skipWhatIsLate(nowMs);
    if (nowMs < this.nextMs) return;
    this.nextMs += this.intervalMs;
    if (this.stack.connections.isFull) this.stack.statistics.connectionsSkipped++;
    else this.open(nowMs);
  }

  private skipWhatIsLate(nowMs: number): void {
    const lateMs = nowMs - this.nextMs - MAX_LAG_MS;
    if (lateMs <= 0) return;
    const skipped = Math.ceil(lateMs / this.intervalMs);
    this.nextMs += skipped * this.intervalMs;
    this.stack.statistics.connectionsSkipped += skipped;
  }

  private open(nowMs: number): void {
    const { stack, options } = this;
    const { hosts, random, connections, statistics } = stack;
    const index = random.below(hosts.count);
    const version = random.fraction() < options.ipv6 ? 6 : 4;
    const remote = this.drawPeer(version);
    const protocol = this.drawProtocol(version);
    const localPort = this.nextPort(index);
    const remotePort = SERVICE_PORTS[protocol];
    const local = hosts.address(version, index);
    if (connections.find(protocol, local, localPort, remote, remotePort) !== undefined) {
      statistics.connectionsSkipped++;
      return;
    }
    const route: Route = { localMac: hosts.mac(index), remoteMac: 0, local, remote, protocol };
    const Kind = protocol === PROTOCOL_TCP ? TcpConnection : protocol === PROTOCOL_UDP ? UdpRequest : Ping;
    this.resolver.resolve(new Kind(stack, route, localPort, remotePort, true), index, nowMs);
  }

  /** Any host behind any of the other ports, each as likely as the others. */
  private drawPeer(version: 4 | 6): Address {
    let index = this.stack.random.below(this.peerCount);
    for (const { portNumber, hosts } of this.options.peers) {
      if (index < hosts) return this.plan.address(version, portNumber, index);
      index -= hosts;
    }
    throw new Error('unreachable: the index is below the number of peers');
  }

  private drawProtocol(version: 4 | 6): number {
    const { tcp, udp, ping } = this.options.mix;
    const drawn = this.stack.random.fraction() * (tcp + udp + ping);
    if (drawn < tcp) return PROTOCOL_TCP;
    if (drawn < tcp + udp) return PROTOCOL_UDP;
    return version === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  }

  private nextPort(index: number): number {
    const port = this.ports[index];
    this.ports[index] = port === LAST_PORT ? FIRST_PORT : port + 1;
    return port;
  }
}
