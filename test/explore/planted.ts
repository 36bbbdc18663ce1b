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
      find: `  atomic.store<u64>(to, entry);
  atomic.store<u32>(bucket, changetype<Bucket>(bucket).moves + 1);
  if (atomic.cmpxchg<u64>(from, entry, 0) != entry) atomic.cmpxchg<u64>(to, entry, 0);`,
      replace: `  atomic.store<u64>(from, 0);
  atomic.store<u64>(to, entry);
  atomic.store<u32>(bucket, changetype<Bucket>(bucket).moves + 1);`,
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'removed-entry-comes-back',
    scenario: 'cuckoo-remove',
    edit: {
      file: 'datapath/memory/cuckoo.ts',
      find: 'if (atomic.cmpxchg<u64>(from, entry, 0) != entry) atomic.cmpxchg<u64>(to, entry, 0);',
      replace: 'atomic.store<u64>(from, 0);',
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
        '  atomic.store<u32>(changetype<usize>(ring), next + 1);\n  store<u32>(changetype<usize>(ring) + SLOTS',
    },
    within: { all: 500, drawn: 2000 },
  },
  {
    name: 'taken-counted-before-it-is-out',
    scenario: 'share',
    edit: {
      file: 'datapath/share.ts',
      find: `  const number = receiveFrame(ringBetween(from, self.number));
  countOut(sharesBetween(from, self.number), frameAt(number).port);`,
      replace: `  const source = ringBetween(from, self.number);
  countOut(sharesBetween(from, self.number), frameAt(peek(source, 0)).port);
  const number = receiveFrame(source);`,
    },
    within: { all: 500, drawn: 2000 },
  },
  {
    name: 'passed-counted-after-it-is-in',
    scenario: 'share',
    edit: {
      file: 'datapath/share.ts',
      find: `  if (!countIn(ring, sharesBetween(self.number, handler), frame.port)) return false;
  frame.holder = HELD_BY_RING;
  stage(ring, number);`,
      replace: `  frame.holder = HELD_BY_RING;
  stage(ring, number);
  publish(ring);
  if (!countIn(ring, sharesBetween(self.number, handler), frame.port)) return false;`,
    },
    within: { all: 500, drawn: 2000 },
  },
  {
    name: 'done-while-it-goes-round',
    scenario: 'order',
    edit: {
      file: 'datapath/order.ts',
      find: 'setDone(from, roundingNow == 0 ? got : load<u32>(turned));',
      replace: 'setDone(from, got);',
    },
    within: { all: 500, drawn: 2000 },
  },
  {
    name: 'earlier-packets-looked-for-first',
    scenario: 'order',
    edit: {
      file: 'datapath/transmit.ts',
      find: `    for (let from = map.handlerThread; from < handlersEnd(); from++) arrived(ringBetween(from, self.number));
    for (let from: u32 = 0; from < map.handlerThread; from++) arrived(ringBetween(from, self.number));`,
      replace: `    for (let from: u32 = 0; from < handlersEnd(); from++) arrived(ringBetween(from, self.number));`,
    },
    within: { all: 5000, drawn: 5000 },
  },
  {
    name: 'gone-on-before-it-was-taken',
    scenario: 'order',
    edit: {
      file: 'datapath/order.ts',
      find: 'if (load<u32>(at + ASKED) != load<u32>(at + SEEN) && areTaken(handler)) {',
      replace: 'if (load<u32>(at + ASKED) != load<u32>(at + SEEN)) {',
    },
    within: { all: 5000, drawn: 5000 },
  },
  {
    name: 'gone-on-before-it-was-collected',
    scenario: 'order-own',
    edit: {
      file: 'datapath/order.ts',
      find: 'if (<i32>(taken(ringBetween(handler, sender)) - mark) < 0) return false;',
      replace:
        'if (sender != self.number && <i32>(taken(ringBetween(handler, sender)) - mark) < 0) return false;',
    },
    within: { all: 5000, drawn: 5000 },
  },
  {
    name: 'event-published-before-it-is-written',
    scenario: 'events',
    edit: {
      file: 'datapath/conntrack/events.ts',
      find: '  event.kind = kind;',
      replace:
        "  atomic.store<u32>(changetype<usize>(ring) + offsetof<EventRing>('put'), ring.put + 1);\n  ring.put--;\n  event.kind = kind;",
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
  {
    name: 'tokens-reckoned-from-another-load',
    scenario: 'meter',
    edit: {
      file: 'datapath/action/meter.ts',
      find: `    const before = atomic.load<u64>(place);
    const emptyMs = max<f64>(reinterpret<f64>(~before), self.nowMs - band.depthMs);`,
      replace: `    const emptyMs = max<f64>(reinterpret<f64>(~atomic.load<u64>(place)), self.nowMs - band.depthMs);
    const before = atomic.load<u64>(place);`,
    },
    within: { all: 500, drawn: 100 },
  },
  {
    name: 'looked-for-before-the-lock',
    scenario: 'create',
    edit: {
      file: 'datapath/conntrack/create.ts',
      find: `    lockShard(hash);
    let owner = ownerOf(tuple, hash);
    if (owner == NONE) owner = ownerOf(other, hash);
`,
      replace: `    let owner = ownerOf(tuple, hash);
    if (owner == NONE) owner = ownerOf(other, hash);
    lockShard(hash);
`,
    },
    within: { all: 5000, drawn: 500 },
  },
  {
    name: 'live-before-it-is-entered',
    scenario: 'reserve',
    edit: {
      file: 'datapath/conntrack/create.ts',
      find: '  const hasRoom = enterUnder(hash, number);\n  if (hasRoom) atomic.store<u32>(generationAt(connection), generationOf(connection) | 3);',
      replace:
        '  atomic.store<u32>(generationAt(connection), generationOf(connection) | 3);\n  const hasRoom = enterUnder(hash, number);',
    },
    within: { all: 5000, drawn: 20_000 },
  },
  {
    name: 'removed-by-two',
    scenario: 'remove',
    edit: {
      file: 'datapath/conntrack/table.ts',
      find: '  if (atomic.cmpxchg<u32>(generationAt(connection), generation, generation + 1) != generation) return false;',
      replace: `  if (generationOf(connection) != generation) return false;
  atomic.store<u32>(generationAt(connection), generation + 1);`,
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'announced-by-who-is-gone',
    scenario: 'expectation',
    edit: {
      file: 'datapath/conntrack/expectation.ts',
      find: 'isLive(generationOf(parent)) && ',
      replace: '',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'filed-cleared-after-the-look',
    scenario: 'expiry',
    edit: {
      file: 'datapath/conntrack/expiry.ts',
      find: '  atomic.store<u32>(filedAt(number), NOT_FILED);\n  unlink(number);\n  look(number);',
      replace: '  unlink(number);\n  look(number);\n  atomic.store<u32>(filedAt(number), NOT_FILED);',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'retired-while-it-is-queued',
    scenario: 'expiry',
    edit: {
      file: 'datapath/conntrack/expiry.ts',
      find: '  if (atomic.xchg<u32>(filedAt(number), FILED) == FILED) return;',
      replace: '  atomic.store<u32>(filedAt(number), FILED);',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'given-back-an-epoch-early',
    scenario: 'reuse',
    edit: {
      file: 'datapath/conntrack/expiry.ts',
      find: 'if (currentEpoch() - retired.previous < 2) return false;',
      replace: 'if (currentEpoch() - retired.previous < 1) return false;',
    },
    within: { all: 5000, drawn: 40_000 },
  },
  {
    name: 'station-looked-for-before-the-lock',
    scenario: 'stations',
    edit: {
      file: 'datapath/bridge/learn.ts',
      find: `  lockStations();
  const at = findStation(key);
  if (at == 0) addStation`,
      replace: `  const at = findStation(key);
  lockStations();
  if (at == 0) addStation`,
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'move-that-changes-no-generation',
    scenario: 'stations',
    edit: {
      file: 'datapath/bridge/stations.ts',
      find: '  if (station.port != port) changeGeneration();\n',
      replace: '',
    },
    within: { all: 5000, drawn: 20_000 },
  },
  {
    name: 'in-the-order-before-it-is-in-its-chain',
    scenario: 'station-death',
    edit: {
      file: 'datapath/bridge/stations.ts',
      find: '  chain(at);\n  append(at);',
      replace: '  append(at);\n  chain(at);',
    },
    within: { all: 500, drawn: 5000 },
  },
  {
    name: 'named-by-two',
    scenario: 'names',
    edit: {
      file: 'datapath/memory/names.ts',
      find: `  acquire(map.nameTable, self.number);
  let place = find(kind, hash, at, length);`,
      replace: `  let place = find(kind, hash, at, length);
  acquire(map.nameTable, self.number);`,
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'as-old-as-before-it-was-kept',
    scenario: 'names',
    edit: {
      file: 'datapath/memory/names.ts',
      find: 'if (atomic.cmpxchg<u64>(at, hold, holdNow(<u32>hold - 1)) == hold) return;',
      replace: 'if (atomic.cmpxchg<u64>(at, hold, hold - 1) == hold) return;',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'forgotten-as-it-is-kept',
    scenario: 'names',
    edit: {
      file: 'datapath/memory/names.ts',
      find: '  if (atomic.cmpxchg<u64>(at, hold, FREE) == hold) forget(kind, number);',
      replace: '  atomic.store<u64>(at, FREE);\n  forget(kind, number);',
    },
    within: { all: 40_000, drawn: 20_000 },
  },
  {
    name: 'flow-retired-by-sweep-and-handler',
    scenario: 'life-sweep',
    edit: {
      file: 'datapath/flow/sweep.ts',
      find: `  if (state == EVICTED) deleteEvicted(number, PLACE_SWEEP);
  else if`,
      replace: `  if (state == EVICTED) {
    release(changetype<usize>(life));
    deleteEvicted(number, PLACE_SWEEP);
    return;
  }
  if`,
    },
    within: { all: 2000, drawn: 1000 },
  },
  {
    name: 'flow-credited-twice-at-its-end',
    scenario: 'life-count',
    edit: {
      file: 'datapath/flow/credit.ts',
      find: '  life.packets = packets;\n',
      replace: '  if (life.removal != 0) life.packets = packets;\n',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'flow-given-back-before-its-last-packets',
    scenario: 'life-count',
    edit: {
      file: 'datapath/flow/retire.ts',
      find: '  credit(number);\n',
      replace: '',
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'state-moved-back',
    scenario: 'life-same-share',
    edit: {
      file: 'datapath/flow/dump.ts',
      find: '  const life = lifeAt(number);\n  if (!tryLock(life)) {',
      replace: `  const life = lifeAt(number);
  if (stateOf(life) == VISIBLE) move(life, OPERATIONAL, PLACE_DUMP);
  if (!tryLock(life)) {`,
    },
    within: { all: 5000, drawn: 3000 },
  },
  {
    name: 'superseded-and-not-looked-for-again',
    scenario: 'life-change',
    edit: {
      file: 'datapath/flow/classifier.ts',
      find: 'if (now == flow) return null;',
      replace: 'return null;',
    },
    within: { all: 5000, drawn: 3000 },
  },
];
