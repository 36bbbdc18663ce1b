/** Reads a flow's program back as it was installed: without the leads from block to block (install.ts). */
import { OP_END, OP_NEXT, OP_SELECT, operationWords } from '../action/opcode';
import { programsInside } from '../action/program';
import { NONE } from '../memory/arena';
import { blockAt, programAt } from './flow';

/** Copies the program of a flow, which stays what it is meanwhile, to `to`. Returns how many words it has. */
export function readProgram(number: u32, to: usize): u32 {
  const begin = to;
  let at = programAt(number);
  let buckets: u32 = 0; // of an OP_SELECT, still to come
  for (let open: u32 = 1; open != 0; ) {
    const operation = load<u32>(at); // or a bucket
    if (buckets != 0 ? load<u32>(at + 4) == NONE : operation == OP_NEXT) {
      at = blockAt(buckets != 0 ? operation : load<u32>(at + 4));
      continue;
    }
    const bytes = (<usize>(buckets != 0 ? 2 : operationWords(operation))) << 2;
    memory.copy(to, at, bytes);
    if (buckets != 0) {
      buckets--;
    } else {
      if (operation == OP_SELECT) buckets = load<u32>(at + 8);
      open += programsInside(at);
      if (operation == OP_END) open--;
    }
    at += bytes;
    to += bytes;
  }
  return <u32>(to - begin) >>> 2;
}
