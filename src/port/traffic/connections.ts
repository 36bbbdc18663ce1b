/**
 * Connections: what one of these hosts and one other host have going on, over TCP, UDP or ICMP. The table finds
 * the one that a received packet belongs to, and bounds how many there are.
 *
 * For UDP and ICMP a connection is one request and its answer; the identifier of a ping is its local port.
 */
import type { Address } from './addresses.ts';
import { Sender } from './outbox.ts';
import type { Stack } from './stack.ts';
import type { Timed } from './timers.ts';
import type { Route } from './writer.ts';

const MAX_CONNECTIONS = 65536;
const BUCKETS = 16384;

export abstract class Connection extends Sender implements Timed {
  dueMs = 0;
  heapIndex = -1;
  /** The next one in the same bucket; written by `ConnectionTable` only. */
  next: Connection | undefined = undefined;

  protected readonly stack: Stack;
  readonly route: Route;
  readonly localPort: number;
  readonly remotePort: number;
  /** Whether the host of this port began it. */
  readonly isOurs: boolean;

  /** Enters the connection into the table, which must not be full. */
  constructor(stack: Stack, route: Route, localPort: number, remotePort: number, isOurs: boolean) {
    super();
    this.stack = stack;
    this.route = route;
    this.localPort = localPort;
    this.remotePort = remotePort;
    this.isOurs = isOurs;
    stack.connections.add(this);
    if (isOurs) {
      stack.statistics.connectionsOpened++;
      stack.statistics.connectionsLive++;
    }
  }

  abstract expire(nowMs: number): void;

  /** The peer's hardware address is known: begins to send. */
  start(remoteMac: number): void {
    this.route.remoteMac = remoteMac;
    this.stack.outbox.push(this);
  }

  /** Ends it, and counts it when it is ours. */
  close(isCompleted: boolean): void {
    const { statistics } = this.stack;
    this.stack.outbox.remove(this);
    this.stack.timers.cancel(this);
    this.stack.connections.remove(this);
    if (!this.isOurs) return;
    statistics.connectionsLive--;
    if (isCompleted) statistics.connectionsCompleted++;
    else statistics.connectionsFailed++;
  }
}

export class ConnectionTable {
  private readonly buckets = new Array<Connection | undefined>(BUCKETS).fill(undefined);
  private count = 0;

  get isFull(): boolean {
    return this.count === MAX_CONNECTIONS;
  }

  find(
    protocol: number,
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
  ): Connection | undefined {
    let found = this.buckets[bucketOf(local, localPort, remote, remotePort)];
    while (
      found !== undefined &&
      !(
        found.localPort === localPort &&
        found.remotePort === remotePort &&
        found.route.protocol === protocol &&
        found.route.local.equals(local) &&
        found.route.remote.equals(remote)
      )
    ) {
      found = found.next;
    }
    return found;
  }

  add(connection: Connection): void {
    const bucket = this.bucketOf(connection);
    connection.next = this.buckets[bucket];
    this.buckets[bucket] = connection;
    this.count++;
  }

  /** Removes a connection that is in the table. */
  remove(connection: Connection): void {
    const bucket = this.bucketOf(connection);
    let before = this.buckets[bucket]!;
    if (before === connection) {
      this.buckets[bucket] = connection.next;
    } else {
      while (before.next !== connection) before = before.next!;
      before.next = connection.next;
    }
    connection.next = undefined;
    this.count--;
  }

  private bucketOf({ route, localPort, remotePort }: Connection): number {
    return bucketOf(route.local, localPort, route.remote, remotePort);
  }
}

/** The last address words and the ports tell connections apart well enough; two rounds of murmur3 mix them. */
function bucketOf(local: Address, localPort: number, remote: Address, remotePort: number): number {
  let hash = Math.imul(local.d ^ Math.imul(remote.d, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ (localPort << 16) ^ remotePort, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash & (BUCKETS - 1);
}
