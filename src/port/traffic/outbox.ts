/**
 * The queue of everything that has a frame to send, first come, first served. What waits are senders, not
 * frames: a connection with a window full of data stands in the queue once, writes one segment straight into
 * the place where the frame is wanted, and goes to the back. So the queue is as long as there are senders, and
 * a sender that goes away takes its place with it.
 *
 * Answers that need no memory (ARP, echo, resets …) are written when the question comes and wait as a `Reply`,
 * of which there are MAX_REPLIES.
 */
import type { Statistics } from './statistics.ts';
import { MAX_FRAME_BYTES } from './wire.ts';
import { FrameWriter } from './writer.ts';

const MAX_REPLIES = 1024;

export abstract class Sender {
  /** Neighbours in the queue; written by `Outbox` only. */
  before: Sender | undefined = undefined;
  after: Sender | undefined = undefined;
  isQueued = false;

  /** Writes one frame and returns its length; 0: there is nothing to send after all. */
  abstract write(frame: FrameWriter, nowMs: number): number;
}

/** An answer, complete but for its turn. */
export class Reply extends Sender {
  readonly frame: FrameWriter;
  length = 0;
  private readonly free: Reply[];
  private readonly bytes = new Uint8Array(MAX_FRAME_BYTES);

  constructor(vlan: number, free: Reply[]) {
    super();
    this.free = free;
    this.frame = new FrameWriter(vlan);
    this.frame.aim(this.bytes, 0);
  }

  override write(frame: FrameWriter): number {
    frame.copy(this.bytes, this.length);
    this.free.push(this);
    return this.length;
  }
}

export class Outbox {
  private first: Sender | undefined = undefined;
  private last: Sender | undefined = undefined;
  private readonly free: Reply[] = [];
  private replies = 0;
  private readonly vlan: number;
  private readonly statistics: Statistics;

  constructor(vlan: number, statistics: Statistics) {
    this.vlan = vlan;
    this.statistics = statistics;
  }

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  /** Puts a sender at the back, unless it waits already. */
  push(sender: Sender): void {
    if (sender.isQueued) return;
    sender.isQueued = true;
    sender.before = this.last;
    if (this.last === undefined) this.first = sender;
    else this.last.after = sender;
    this.last = sender;
  }

  /** Takes a sender out of the queue, wherever it stands. */
  remove(sender: Sender): void {
    if (!sender.isQueued) return;
    sender.isQueued = false;
    if (sender.before === undefined) this.first = sender.after;
    else sender.before.after = sender.after;
    if (sender.after === undefined) this.last = sender.before;
    else sender.after.before = sender.before;
    sender.before = undefined;
    sender.after = undefined;
  }

  /** Lets the next sender that has something write it; returns the frame's length, 0 when nobody has. */
  write(frame: FrameWriter, nowMs: number): number {
    while (this.first !== undefined) {
      const sender = this.first;
      this.remove(sender);
      const length = sender.write(frame, nowMs);
      if (length > 0) return length;
    }
    return 0;
  }

  /** A reply to write and `post`; undefined, and counted, when too many wait already. */
  takeReply(): Reply | undefined {
    const reply = this.free.pop();
    if (reply !== undefined) return reply;
    if (this.replies === MAX_REPLIES) {
      this.statistics.repliesDropped++;
      return undefined;
    }
    this.replies++;
    return new Reply(this.vlan, this.free);
  }

  /** Queues a reply whose frame is `length` bytes long. */
  post(reply: Reply, length: number): void {
    reply.length = length;
    this.push(reply);
  }
}
