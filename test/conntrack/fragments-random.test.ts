/** Fragments of few datagrams at random, cut anyhow, twice, late or never, against the naive twin. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CT_COMMIT, DatagramTable, HeldFragments, POOL_FRAMES, regionAddress } from '../../src/datapath.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import { ethernet, fragmentHeader, ipv4, ipv6, MORE_FRAGMENTS } from '../support/packets.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import { Tracked, track } from '../support/tracked.ts';
import { NaiveFragments, type Piece } from './naive-fragments.ts';

const STEPS = 4000;
const PROTOCOL = 253; // for experiments (RFC 3692): whatever it carries is right
/** Of a datagram and of most of its fragments, in units of 8 bytes. */
const LENGTH = 6;
const USUAL = 2;

/** A fragment of one of some datagrams; mostly one that its sender could have cut. */
function randomPiece(random: Random, ids: number): Piece {
  const isV4 = chance(random, 0.5);
  const id = random.below(ids);
  const isUsual = chance(random, 0.95);
  const start = isUsual ? USUAL * random.below(LENGTH / USUAL) : random.below(LENGTH);
  const end = isUsual ? start + USUAL : start + 1 + random.below(Math.min(3, LENGTH - start));
  const isLast = end === LENGTH || (start > 0 && chance(random, 0.01));
  const bytes = Uint8Array.from({ length: 8 * (end - start) - (isLast ? 3 : 0) }, (_, i) => 8 * start + i);
  if (chance(random, 0.01)) bytes[0] = 0xff;
  const inner = { protocol: PROTOCOL, bytes };
  const network = isV4
    ? ipv4({ id, fragment: start | (isLast ? 0 : MORE_FRAGMENTS) }, inner)
    : ipv6({ extensions: [fragmentHeader(8 * start, !isLast, id)] }, inner);
  return { name: `${isV4} ${id}`, start: 8 * start, bytes, isLast, frame: ethernet({}, network) };
}

const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString('hex'));

for (const [what, ids, most] of [
  ['with room for all', 6, 64],
  ['with little room', 12, 16],
] as const) {
  test(
    `${what}, the same fragments are held, go on, and are dropped as in the twin`,
    seeded((random) => {
      const tracked = new Tracked(track(CT_COMMIT));
      const fragments = new HeldFragments(tracked.rig.arena);
      fragments.most = most;
      for (const version of [4, 6] as const) fragments.set(version, { leastBytes: 0 });
      const naive = new NaiveFragments(most);
      let completed = 0;
      for (let step = 0, nowMs = 0; step < STEPS; step++) {
        nowMs += random.below(200);
        tracked.setClock(nowMs);
        tracked.rig.handler.exports.sweepFragments();
        naive.expire(nowMs);
        const piece = randomPiece(random, ids);
        const expected = naive.add(piece, nowMs);
        const seen = tracked.receive([piece.frame], pick(random, [1, 3]));
        const isRefused = expected === 'refused';
        assert.deepEqual(hex(seen.map(({ bytes }) => bytes)), hex(isRefused ? [piece.frame] : expected));
        for (const { state } of seen) assert.equal(state, isRefused ? 'inv|trk' : 'new|trk');
        assert.deepEqual(tracked.rig.observer.totals().dropped, naive.dropped);
        assert.equal(fragments.held(4) + fragments.held(6), naive.held);
        if (!isRefused) completed += expected.length;
      }
      assert.ok(completed > 100, `${completed} completed`);
      tracked.rig.handler.exports.dropAllFragments();
      tracked.rig.checkFates();
    }),
  );
}

test(
  'whenever a thread dies, every fragment is accounted for',
  seeded((random) => {
    const tracked = new Tracked(track(CT_COMMIT), { threads: 3 });
    const { rig } = tracked;
    const fragments = new HeldFragments(rig.arena);
    for (const version of [4, 6] as const) fragments.set(version, { leastBytes: 0 });
    const held = () => fragments.held(4) + fragments.held(6);
    const table = regionAddress(rig.arena, 'datagramTable');
    for (let life = 0; life < 200; life++) {
      for (let n = random.below(30); n > 0; n--) {
        tracked.receive([randomPiece(random, 6).frame], 1, pick(random, rig.threads.slice(0, 2)));
      }
      let left = held();
      if (chance(random, 0.3)) {
        rig.datapath.exports.acquire(table, 0);
        // It may have been in the middle of anything.
        for (const word of [DatagramTable.oldest, DatagramTable.newest, DatagramTable.free]) {
          if (chance(random, 0.5)) rig.datapath.u32[(table + word) >> 2] = random.word();
        }
        releaseLocks(rig.arena, 0);
        left = 0;
      }
      rig.bury(0);
      assert.equal(held(), left);
      assert.equal(rig.free(POOL_FRAMES), rig.arena.limits.frames - left);
    }
    rig.handler.exports.dropAllFragments();
    assert.ok(rig.checkFates().dropped.thread_died);
  }),
);
