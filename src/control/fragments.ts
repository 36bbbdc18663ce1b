/** Which fragments connection tracking holds: the section of a configuration, checked and put in place. */
import type { z } from 'zod';
import { type Arena, DEFAULT_FRAGMENTS, fragmentLimit, HeldFragments, MOST_FRAGMENTS } from '../datapath.ts';
import type { Problem } from '../yaml/problem.ts';
import { section, whole, yesNo } from '../yaml/schema.ts';
import type { Source } from '../yaml/source.ts';

/** Smaller ones would only make work, as Open vSwitch has it too. */
const LEAST_BYTES = 400;

const family = (leastBytes: number) =>
  section({
    tracked: yesNo.default(true),
    leastBytes: whole(LEAST_BYTES, 65_535).default(leastBytes),
  }).prefault({});

/** `most`: of both at a time; left out, as many as usual or as there is room for. */
export const fragmentsSection = section({
  ipv4: family(DEFAULT_FRAGMENTS.leastBytes[4]),
  ipv6: family(DEFAULT_FRAGMENTS.leastBytes[6]),
  most: whole(1, MOST_FRAGMENTS).optional(),
});

type Fragments = z.output<typeof fragmentsSection>;

/** What they are in, others lack: so not too many frames may be filled with them. */
export function checkFragments(
  source: Source,
  { limits, conntrack }: { limits: Parameters<typeof fragmentLimit>[0]; conntrack: { fragments: Fragments } },
): Problem[] {
  const { most = 0 } = conntrack.fragments;
  if (limits.connections === 0 || most <= fragmentLimit(limits)) return [];
  const expected = `at most a sixteenth of limits.frames, ${fragmentLimit(limits)}`;
  return [source.wrongValue(['conntrack', 'fragments', 'most'], expected)];
}

/** Before any thread starts. */
export function configureFragments(arena: Arena, { ipv4, ipv6, most }: Fragments): void {
  const fragments = new HeldFragments(arena);
  fragments.set(4, ipv4);
  fragments.set(6, ipv6);
  if (most !== undefined) fragments.most = most;
}
