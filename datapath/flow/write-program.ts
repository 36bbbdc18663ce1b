/** Writes programs into flows, and compares them: what does not fit goes on in blocks (flow.ts, action/program.ts). */
import { OP_END, OP_NEXT, OP_SELECT, operationWords } from '../action/opcode';
import { bucketAt, programsInside } from '../action/program';
import { NONE } from '../memory/arena';
import { give, POOL_BLOCKS, take } from '../memory/pool';
import { self } from '../memory/thread';
import { BLOCK_LINK, BLOCK_WORDS, blockAt, FLOW_PROGRAM_WORDS, programAt, Upkeep, upkeepAt } from './flow';

/**
 * Copies a sound program into a flow, going on in blocks where it does not fit (program.ts); false, with nothing
 * held, when they run out. Before whatever must not be parted, two words are kept free to lead on.
 */
export function writeProgram(number: u32, program: usize): bool {
  let at = programAt(number);
  let room: u32 = FLOW_PROGRAM_WORDS;
  let link = changetype<usize>(upkeepAt(number)) + offsetof<Upkeep>('blocks');
  store<u32>(link, 0);
  let buckets: u32 = 0; // of an OP_SELECT, still to come
  for (let open: u32 = 1; open != 0; ) {
    const operation = load<u32>(program); // or a bucket
    const words: u32 = buckets != 0 ? 2 : operationWords(operation);
    const isLast = buckets == 0 && open == 1 && operation == OP_END;
    if (words + (isLast ? 0 : 2) > room) {
      const block = addBlock(link);
      if (block == NONE) {
        giveBlocks(number);
        return false;
      }
      store<u32>(at, buckets != 0 ? block : OP_NEXT);
      store<u32>(at + 4, buckets != 0 ? NONE : block);
      at = blockAt(block);
      room = BLOCK_WORDS;
      link = at + BLOCK_LINK;
    }
    memory.copy(at, program, (<usize>words) << 2);
    if (buckets != 0) {
      buckets--;
    } else {
      if (operation == OP_SELECT) buckets = load<u32>(program + 8);
      open += programsInside(program);
      if (operation == OP_END) open--;
    }
    at += (<usize>words) << 2;
    program += (<usize>words) << 2;
    room -= words;
  }
  return true;
}

/** Takes a block, the last of a program so far, and has `link` lead to it. NONE when there is none. */
function addBlock(link: usize): u32 {
  const block = take(self.number, POOL_BLOCKS);
  if (block == NONE) return NONE;
  store<u32>(link, block + 1);
  store<u32>(blockAt(block) + BLOCK_LINK, 0);
  return block;
}

/** Gives back the blocks that a flow's program goes on in. */
export function giveBlocks(number: u32): void {
  for (let next = upkeepAt(number).blocks; next != 0; ) {
    const block = next - 1;
    next = load<u32>(blockAt(block) + BLOCK_LINK);
    give(self.number, POOL_BLOCKS, block);
  }
}

/** Whether a flow's program is the sound one at `program`. */
export function hasProgram(number: u32, program: usize): bool {
  let at = programAt(number);
  for (let open: u32 = 1; open != 0; ) {
    const operation = load<u32>(at);
    if (operation == OP_NEXT) {
      at = blockAt(load<u32>(at + 4));
      continue;
    }
    const bytes = (<usize>operationWords(operation)) << 2;
    if (operation != load<u32>(program) || memory.compare(at, program, bytes) != 0) return false;
    open += programsInside(program);
    if (operation == OP_END) open--;
    let buckets: u32 = operation == OP_SELECT ? load<u32>(program + 8) : 0;
    for (at += bytes, program += bytes; buckets != 0; buckets--) {
      at = bucketAt(at);
      if (load<u64>(at) != load<u64>(program)) return false;
      at += 8;
      program += 8;
    }
  }
  return true;
}
