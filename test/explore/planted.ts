/**
 * Bugs planted on purpose, each of a kind that is easily made, to show that the explorer finds them. A bug is
 * a change of a source that is made as it is compiled; nothing of it is in any build that is kept.
 */
import type { Edit } from './compile.ts';

export interface Planted {
  /** What is wrong. */
  name: string;
  scenario: string;
  edit: Edit;
  /** It is found within so many of all schedules with two preemptions, and of those drawn. */
  within: { all: number; drawn: number };
}

export const PLANTED: readonly Planted[] = [
  {
    name: 'sequence-not-checked-again',
    scenario: 'sequence',
    edit: {
      file: 'datapath/memory/sequence.ts',
      find: 'return !(begun & 1) && atomic.load<u32>(sequence) == begun;',
      replace: 'return !(begun & 1);',
    },
    within: { all: 500, drawn: 100 },
  },
  {
    name: 'moves-not-checked-again',
    scenario: 'cuckoo',
    edit: {
      file: 'datapath/memory/cuckoo.ts',
      find: 'if (moves == firstMoves || tries == MOST_TRIES) return NONE;',
      replace: 'if (moves == moves) return NONE;',
    },
    within: { all: 5000, drawn: 500 },
  },
  {
    name: 'entry-cleared-before-it-is-stored',
    scenario: 'cuckoo',
    edit: {
      file: 'datapath/memory/cuckoo.ts',
      find: 'atomic.store<u64>(to, load<u64>(from));',
      replace: 'const entry = load<u64>(from); atomic.store<u64>(from, 0); atomic.store<u64>(to, entry);',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'published-before-linked',
    scenario: 'mpsc',
    edit: {
      file: 'datapath/memory/mpsc.ts',
      find: `  atomic.store<u32>(linkOf(queue, id), NOTHING);
  const before = atomic.xchg<u32>(changetype<usize>(queue) + offsetof<MpscQueue>('last'), id);`,
      replace: `  const before = atomic.xchg<u32>(changetype<usize>(queue) + offsetof<MpscQueue>('last'), id);
  atomic.store<u32>(linkOf(queue, id), NOTHING);`,
    },
    within: { all: 500, drawn: 100 },
  },
  {
    name: 'epoch-advanced-too-early',
    scenario: 'epoch',
    edit: {
      file: 'datapath/memory/epoch.ts',
      find: 'if (seen != 0 && seen != epoch) return;',
      replace: 'if (seen > epoch) return;',
    },
    within: { all: 1000, drawn: 1000 },
  },
  {
    name: 'lock-released-twice',
    scenario: 'lock',
    edit: {
      file: 'datapath/explore/lock.ts',
      find: '  release(lock);',
      replace: '  release(lock);\n  release(lock);',
    },
    within: { all: 10, drawn: 10 },
  },
  {
    name: 'pool-without-its-lock',
    scenario: 'pool',
    edit: {
      file: 'datapath/memory/pool.ts',
      find: 'import { acquire, release',
      replace: `function acquire(lock: usize, thread: u32): void {}
function release(lock: usize): void {}
import { acquire as acquireReally, release as releaseReally`,
    },
    within: { all: 10, drawn: 10 },
  },
  {
    name: 'rung-without-a-count',
    scenario: 'doorbell',
    edit: {
      file: 'datapath/memory/doorbell.ts',
      find: "    atomic.add<u32>(address + offsetof<Thread>('rung'), 1);\n",
      replace: '',
    },
    within: { all: 50, drawn: 500 },
  },
  {
    name: 'slot-published-before-it-is-written',
    scenario: 'ring',
    edit: {
      file: 'datapath/memory/ring.ts',
      find: '  store<u32>(changetype<usize>(ring) + SLOTS',
      replace:
        '  atomic.store<u32>(changetype<usize>(ring), head + 1);\n  store<u32>(changetype<usize>(ring) + SLOTS',
    },
    within: { all: 500, drawn: 2000 },
  },
  {
    name: 'departure-that-forgets-the-arrival',
    scenario: 'barrier',
    edit: {
      file: 'datapath/memory/barrier.ts',
      find: 'const both: u64 = 0x100000001;',
      replace: 'const both: u64 = 1;',
    },
    within: { all: 5000, drawn: 100 },
  },
];
