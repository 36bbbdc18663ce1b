/** The connections that others have announced, as the handler lists them; the control side reads the copies. */
import type { Datapath } from '../datapath.ts';

export function listExpectations(datapath: Datapath): Uint8Array {
  const copies: Uint8Array[] = [];
  for (let found = datapath.nextExpectation(0); found; found = datapath.nextExpectation(found.slot + 1)) {
    copies.push(found.copy);
  }
  return Uint8Array.from(Buffer.concat(copies));
}
