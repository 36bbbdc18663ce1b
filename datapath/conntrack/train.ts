/**
 * The connection whose lock this thread holds. Packets of a connection often come in trains, so its lock is kept from one
 * packet to the next, and let go of when one of another connection comes, or the batch ends:
 *
 *     packets of a batch     a   a   a   b   b   a
 *     locks                  ├─ a ───┤├─ b ─┤├ a ┤
 *
 * So a packet costs a locked operation or none, and others wait for a connection for a batch at most. Whoever holds one
 * waits for no other connection's lock. Nobody who holds another lock waits for a connection's, so that nothing goes in
 * circles; and none is held when a thread sleeps, waits, or runs anything but the module.
 */
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';
import { Connection } from './connection';

/** Address of the connection; 0: none. This thread's alone. */
let held: usize = 0;

/** Takes the connection's lock, unless this thread has it, and lets go of another's. */
export function hold(connection: Connection): void {
  const lock = changetype<usize>(connection);
  if (held == lock) return;
  letGo();
  acquire(lock, self.number);
  held = lock;
}

/** Lets go of the connection whose lock this thread holds, if any. */
export function letGo(): void {
  if (held == 0) return;
  release(held);
  held = 0;
}
