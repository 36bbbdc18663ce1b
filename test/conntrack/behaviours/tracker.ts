/**
 * A switch whose flows track connections: the real tables, translation, megaflows and packet path on one thread, on
 * a clock that the test moves. What a user sees of it: packets that leave, packets that a controller gets, what
 * flows count, and the lines of `heddle show connections`.
 */
import assert from 'node:assert/strict';
import type { FlushSlice } from '../../../src/upcall/connections.ts';
import { connectionLine } from '../../../src/view/connection.ts';
import { type Sent, SmallSwitch } from '../../upcall/small-switch.ts';
import type { Step } from './talk.ts';

export class Tracker extends SmallSwitch {
  /** By the cookies of flows, what they had counted. */
  readonly #began = new Map<bigint, number>();

  constructor(flows: string) {
    super(flows);
    this.watch();
  }

  /**
   * Hosts talk: each says its part when the one before has arrived, there alone and byte for byte. How many parts have
   * arrived; less than all: they wait for the next in vain.
   */
  talk(steps: readonly Step[]): number {
    for (const [i, { from, to, sent, arrives }] of steps.entries()) {
      const out = this.forward(from, sent);
      if (out.length === 0) return i;
      assert.deepEqual(hex(only(out, to)), hex(arrives), `part ${i}`);
    }
    return steps.length;
  }

  /** The same, and nothing is lost. */
  understand(steps: readonly Step[]): void {
    assert.equal(this.talk(steps), steps.length, 'parts that arrived');
  }

  /**
   * What a controller has got since it was last asked: the port that a packet came in by and, if it was tracked, what
   * it is; as text, without zone, mark and label of 0.
   */
  packetIns(): string[] {
    return this.watch().events.flatMap((event) => {
      if (event.kind !== 'packetIn') return [];
      const known = event.packet.match(/ct_\w+\((?!0\)|0x0\))[^)]*\)/g) ?? [];
      return [[event.port, ...known].join(' ')];
    });
  }

  /** Connections as `heddle show connections` has them, in the order of the alphabet. */
  lines(...filter: string[]): string[] {
    return this.connections(...filter)
      .map((row) => connectionLine(row, { format: 'ovs' }))
      .sort();
  }

  /** Removes connections as `heddle flush connections` does; how many. */
  flush(...filter: string[]): number {
    let flushed = 0;
    for (let from: number | undefined = 0; from !== undefined; ) {
      const slice = this.request({ command: 'flush', filter, from }) as FlushSlice;
      flushed += slice.count;
      from = slice.next;
    }
    return flushed;
  }

  /** Packets that have taken the flows with a cookie since the beginning, or since everything began again. */
  counted(cookie: number): number {
    return this.#packets(BigInt(cookie)) - (this.#began.get(BigInt(cookie)) ?? 0);
  }

  #packets(cookie: bigint): number {
    return this.ask('flows', 'dump', `cookie=${cookie}/-1`)
      .map((line) => Number(/n_packets=(\d+)/.exec(line)![1]))
      .reduce((sum, packets) => sum + packets, 0);
  }

  /** Everything begins again, but for the megaflows. */
  beginAgain(): void {
    this.flush();
    this.packetIns();
    const cookies = this.ask('flows', 'dump').map((line) => BigInt(/cookie=([^,]*)/.exec(line)![1]!));
    for (const cookie of cookies) this.#began.set(cookie, this.#packets(cookie));
  }
}

/**
 * Does something on a switch with these flows, and then, with no connection there any more, the same again: what
 * the tables had to be asked for the first time, megaflows do the second time.
 */
export function twice(flows: string, work: (tracker: Tracker) => void): void {
  const tracker = new Tracker(flows);
  work(tracker);
  tracker.beginAgain();
  const { upcalls } = tracker.rig.observer.totals();
  work(tracker);
  assert.equal(tracker.rig.observer.totals().upcalls, upcalls, 'packets that no megaflow took');
  tracker.rig.checkFates();
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The only packet that left, by this port. */
export function only(sent: readonly Sent[], port: number): Uint8Array {
  assert.deepEqual(
    sent.map((one) => one.port),
    [port],
  );
  return sent[0]!.bytes;
}
