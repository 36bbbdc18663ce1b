/**
 * What a port is to the datapath thread that owns it.
 *
 * A port belongs to one datapath thread, which alone calls these. Frames for it from other threads reach
 * that thread through a ring and join the same transmit queue.
 */
export interface Port {
  /** Descriptors that become readable when `poll` has work; the thread sleeps on them. */
  readonly descriptors: readonly number[];

  /** Receives at most one batch, runs it through the datapath, and returns how many frames it had. */
  poll(nowMs: number): number;

  /** Sends the frames that the datapath queued for this port. Called only when there are some. */
  transmit(nowMs: number): void;

  /** When `poll` will have work though no descriptor is ready, on the switch clock; Infinity: never. */
  dueMs(): number;

  /** Lets go of what the thread's side holds. */
  close(): void;
}
