/** A connection of one request and one answer. The request is repeated until the answer comes. */
import { Connection } from './connections.ts';
import { MAX_TRIES, retryDelayMs } from './timers.ts';
import type { FrameWriter } from './writer.ts';

export abstract class Query extends Connection {
  private tries = 0;

  /** Writes the request for the `tries`-th time, counted from 1, and returns the frame's length. */
  protected abstract writeRequest(frame: FrameWriter, tries: number): number;

  override write(frame: FrameWriter, nowMs: number): number {
    this.tries++;
    this.stack.timers.set(this, nowMs + retryDelayMs(this.tries));
    return this.writeRequest(frame, this.tries);
  }

  override expire(): void {
    if (this.tries < MAX_TRIES) this.stack.outbox.push(this);
    else this.close(false);
  }
}
