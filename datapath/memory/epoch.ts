/**
 * Reclaim by epoch: a record taken out of a shared structure is reused only when no thread can still be
 * looking at it.
 *
 *     epoch     e         e+1        e+2
 *     thread A  ├─batch─┤ ├─batch──┤
 *     thread B      ├──── batch ────┤├─
 *     record    unlinked in e ······· free from e+2 on
 *
 * A thread stores the global epoch in `Thread.epoch` when a batch begins, and 0 when it goes to sleep. The
 * global epoch moves from e to e+1 only when every thread that is awake has stored e. A record unlinked in
 * e may be seen by batches that began in e or before; when the epoch is e+2 all of those have ended.
 */
import { ArenaMap, map } from './arena';
import { self, Thread, threadAt } from './thread';

/** The global epoch; starts at 1. Moved by `advance` alone. */
export function currentEpoch(): u32 {
  return atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('epoch'));
}

/** This thread begins a batch: it holds nothing that it found before. */
export function enter(): void {
  atomic.store<u32>(changetype<usize>(self) + offsetof<Thread>('epoch'), currentEpoch());
}

/** This thread holds nothing, and will not until it enters again. */
export function leave(): void {
  atomic.store<u32>(changetype<usize>(self) + offsetof<Thread>('epoch'), 0);
}

/** Moves the global epoch on if every thread that is awake has seen it. */
export function advance(): void {
  const epoch = currentEpoch();
  for (let i: u32 = 0; i < map.threadCount; i++) {
    const seen = atomic.load<u32>(changetype<usize>(threadAt(i)) + offsetof<Thread>('epoch'));
    if (seen != 0 && seen != epoch) return;
  }
  const next = epoch + 1;
  atomic.cmpxchg<u32>(changetype<usize>(map) + offsetof<ArenaMap>('epoch'), epoch, next == 0 ? 1 : next);
}
