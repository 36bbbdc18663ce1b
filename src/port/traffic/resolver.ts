/**
 * Hardware addresses, by ARP for IPv4 and neighbour discovery for IPv6: answering for these hosts, and finding
 * those of the hosts that they connect to. Each host asks for itself, as real ones do, so there is one
 * neighbour for each pair of host and address; at most MAX_NEIGHBOURS, the oldest making room.
 */
import type { Address } from './addresses.ts';
import { ARP_REPLY, ARP_REQUEST, ArpMessage } from './arp.ts';
import type { Connection } from './connections.ts';
import {
  ALL_NODES,
  ALL_NODES_MAC,
  NeighbourMessage,
  OVERRIDE,
  SOLICITED,
  UNSPECIFIED,
  writeAdvertisement,
  writeSolicitation,
} from './neighbour.ts';
import { Sender } from './outbox.ts';
import type { FrameReader } from './reader.ts';
import type { Stack } from './stack.ts';
import type { Fault } from './statistics.ts';
import { MAX_TRIES, retryDelayMs, type Timed } from './timers.ts';
import type { FrameWriter, Route } from './writer.ts';

const MAX_NEIGHBOURS = 32768;
/** How long an answer is believed. */
const LIFETIME_MS = 60_000;

const BROADCAST_MAC = 0xffffffffffff;

const arp = new ArpMessage();
const message = new NeighbourMessage();

/** One address that one host wants to know, or knows, the hardware address of. */
class Neighbour extends Sender implements Timed {
  dueMs = 0;
  heapIndex = -1;
  /** -1 until it is known. */
  mac = -1;
  expiresMs = 0;
  /** Connections that cannot begin before it is known. */
  waiting: Connection[] = [];
  readonly key: number;
  private readonly resolver: Resolver;
  private readonly stack: Stack;
  private readonly route: Route;
  private tries = 0;

  constructor(resolver: Resolver, stack: Stack, key: number, route: Route) {
    super();
    this.resolver = resolver;
    this.stack = stack;
    this.key = key;
    this.route = route;
  }

  override write(frame: FrameWriter, nowMs: number): number {
    const { localMac, local, remote } = this.route;
    this.tries++;
    this.stack.timers.set(this, nowMs + retryDelayMs(this.tries));
    if (!remote.isIpv4) return writeSolicitation(frame, localMac, local, remote);
    arp.operation = ARP_REQUEST;
    arp.senderMac = localMac;
    arp.senderIpv4 = local.d;
    arp.targetMac = 0;
    arp.targetIpv4 = remote.d;
    return arp.write(frame, BROADCAST_MAC);
  }

  expire(): void {
    if (this.tries < MAX_TRIES) this.stack.outbox.push(this);
    else this.resolver.forget(this);
  }
}

export class Resolver {
  private readonly stack: Stack;
  /** In the order in which they were made. */
  private readonly neighbours = new Map<number, Neighbour>();

  constructor(stack: Stack) {
    this.stack = stack;
  }

  /** Starts a connection of host `index` as soon as its peer's hardware address is known; or fails it. */
  resolve(connection: Connection, index: number, nowMs: number): void {
    const key = keyOf(index, connection.route.remote);
    let neighbour = this.neighbours.get(key);
    if (neighbour !== undefined && neighbour.mac >= 0 && nowMs < neighbour.expiresMs) {
      connection.start(neighbour.mac);
      return;
    }
    if (neighbour === undefined || neighbour.mac >= 0) {
      if (neighbour !== undefined) this.forget(neighbour);
      if (this.neighbours.size === MAX_NEIGHBOURS) this.forget(this.neighbours.values().next().value!);
      neighbour = new Neighbour(this, this.stack, key, connection.route);
      this.neighbours.set(key, neighbour);
      this.stack.outbox.push(neighbour);
    }
    neighbour.waiting.push(connection);
  }

  /** Gives up a neighbour, and with it the connections that wait for it. */
  forget(neighbour: Neighbour): void {
    this.stack.outbox.remove(neighbour);
    this.stack.timers.cancel(neighbour);
    this.neighbours.delete(neighbour.key);
    for (const connection of neighbour.waiting) connection.close(false);
  }

  receiveArp(frame: FrameReader, nowMs: number): Fault | undefined {
    if (!arp.read(frame)) return 'framesMalformed';
    const { hosts, outbox } = this.stack;
    const index = hosts.indexOfIpv4(arp.targetIpv4);
    if (index < 0) return 'framesIgnored';
    if (arp.operation === ARP_REPLY)
      return this.learn(index, frame.source.setIpv4(arp.senderIpv4), arp.senderMac, nowMs);
    if (arp.operation !== ARP_REQUEST) return 'framesIgnored';
    const reply = outbox.takeReply();
    if (reply === undefined) return undefined;
    arp.operation = ARP_REPLY;
    arp.targetMac = arp.senderMac;
    arp.targetIpv4 = arp.senderIpv4;
    arp.senderMac = hosts.mac(index);
    arp.senderIpv4 = hosts.address(4, index).d;
    outbox.post(reply, arp.write(reply.frame, arp.targetMac));
    return undefined;
  }

  /** A solicitation or advertisement arrives, for one of these hosts or for a group, its checksum verified. */
  receiveNeighbour(frame: FrameReader, nowMs: number): Fault | undefined {
    if (!message.read(frame)) return 'framesMalformed';
    if (message.isSolicitation) return this.answerSolicitation(frame);
    const { target, targetMac } = message;
    const index = this.stack.hosts.indexOfAddress(frame.destination);
    if (index < 0 || targetMac < 0) return 'framesIgnored';
    return this.learn(index, target, targetMac, nowMs);
  }

  private answerSolicitation(frame: FrameReader): Fault | undefined {
    const { hosts, outbox } = this.stack;
    const { target } = message;
    const index = hosts.indexOfAddress(target);
    if (index < 0) return 'framesIgnored';
    const reply = outbox.takeReply();
    if (reply === undefined) return undefined;
    // RFC 4861 §7.2.4: one without a source address asks whether the address is free; everybody is told.
    const isProbe = frame.source.equals(UNSPECIFIED);
    const route: Route = {
      localMac: hosts.mac(index),
      remoteMac: isProbe ? ALL_NODES_MAC : frame.sourceMac,
      local: target,
      remote: isProbe ? ALL_NODES : frame.source,
      protocol: frame.protocol,
    };
    const flags = isProbe ? OVERRIDE : SOLICITED | OVERRIDE;
    outbox.post(reply, writeAdvertisement(reply.frame, route, flags, target));
    return undefined;
  }

  /** Host `index` is told that `address` has `mac`. What it did not ask for it ignores. */
  private learn(index: number, address: Address, mac: number, nowMs: number): Fault | undefined {
    const neighbour = this.neighbours.get(keyOf(index, address));
    if (neighbour === undefined) return 'framesIgnored';
    neighbour.mac = mac;
    neighbour.expiresMs = nowMs + LIFETIME_MS;
    this.stack.outbox.remove(neighbour);
    this.stack.timers.cancel(neighbour);
    for (const connection of neighbour.waiting) connection.start(mac);
    neighbour.waiting = [];
    return undefined;
  }
}

/** These hosts connect only to planned addresses, whose last word tells them apart. */
const keyOf = (index: number, address: Address): number =>
  (index * 2 + (address.isIpv4 ? 0 : 1)) * 2 ** 32 + (address.d >>> 0);
