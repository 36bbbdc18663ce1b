/**
 * Sequence lock: lets readers copy a small record while one thread at a time changes it, without writing
 * anything themselves.
 *
 *     sequence   4 ── 5 ───────────── 6 ──           even: at rest, odd: being written
 *     payload    AAAA │ AB → BB → BC → │ BBBC
 *     reader         copies, sees 5 or a change: again
 *
 * The sequence is a u32 that starts at 0. Who writes is settled elsewhere: by a lock, or because there is
 * but one writer. A reader notes the sequence, copies the payload (`copyOut`), and keeps the copy only if the
 * sequence is the same and even; until then the copy may be torn and is not to be acted on. How often to try
 * again is the reader's choice: a writer that died half-way leaves the sequence odd.
 *
 * The writer's stores are plain: between two read-modify-writes they stay. The reader's loads are atomic, or a
 * processor might do them after the second look at the sequence (Boehm, "Can seqlocks get along with
 * programming language memory models?", 2012).
 */

/** The writer may change the payload from now on. */
export function beginWrite(sequence: usize): void {
  atomic.add<u32>(sequence, 1);
}

/** The payload is whole again. */
export function endWrite(sequence: usize): void {
  atomic.add<u32>(sequence, 1);
}

/** What the reader hands to `isWhole` after it has copied the payload. */
export function beginRead(sequence: usize): u32 {
  return atomic.load<u32>(sequence);
}

/** Copies `bytes`, a multiple of 8, of a payload to memory of the reader's own. Both on multiples of 8. */
export function copyOut(to: usize, payload: usize, bytes: u32): void {
  for (let i: usize = 0; i < <usize>bytes; i += 8) store<u64>(to + i, atomic.load<u64>(payload + i));
}

/** Whether what was copied since `beginRead` is of one piece. */
export function isWhole(sequence: usize, begun: u32): bool {
  return !(begun & 1) && atomic.load<u32>(sequence) == begun;
}
