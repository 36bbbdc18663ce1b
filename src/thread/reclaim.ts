/**
 * Tidies up after threads that died, from the control side: the work itself is the module's
 * (datapath/reclaim.ts), done in the dead thread's name while the live ones stand still.
 */
import { type Arena, Datapath, halt, resume, rolesOf } from '../datapath.ts';

/** What was found with a thread that died. */
export interface Reclaimed {
  frames: number;
  /** Being made or retired; not of a datapath thread. */
  flows: number;
  /** Being made, or removed and not free yet, whoever did that. */
  connections: number;
  /** Received, without a fate, and with nobody else: dropped as `thread_died`. */
  packets: number;
  copies: number;
}

/** The live threads get so long to come to the end of their rounds; else they go on and are asked again later. */
const HALT_MS = 20;

/** Releases what `thread`, which is dead, had locked; to be done at once, for others may be spinning. */
export function releaseLocks(arena: Arena, thread: number): number {
  return new Datapath(arena, thread).exports.releaseLocks();
}

export interface Outcome {
  /** By thread, as they were given; undefined when the live ones did not come to stand. */
  reclaimed: Reclaimed[] | undefined;
  /** For how long the live threads stood still. */
  haltedMs: number;
  /** Live threads that sleep in `poll()` and whose doorbells must be rung. */
  asleep: number[];
}

/**
 * Takes back what `dead` threads held and makes the counters add up. Their ports must be closed, so that the
 * kernel has none of their frames. All other threads of the arena are `live`.
 */
export function reclaim(arena: Arena, dead: readonly number[], live: readonly number[]): Outcome {
  const threads = dead.map((thread) => new Datapath(arena, thread));
  const beganMs = performance.now();
  const reclaimed = halt(arena, live, HALT_MS) ? threads.map(reclaimOne) : undefined;
  const asleep = resume(arena, live);
  return { reclaimed, haltedMs: performance.now() - beganMs, asleep };
}

function reclaimOne({ arena, thread, exports }: Datapath): Reclaimed {
  const isSlow = thread >= rolesOf(arena.limits).datapaths;
  exports.mendDatagrams();
  // The names that its flows kept: they go when its successor begins.
  const found = {
    packets: exports.settle(false),
    copies: exports.settle(true),
    frames: exports.reclaimFrames(),
    flows: isSlow ? exports.reclaimFlows() : 0,
    connections: exports.reclaimConnections(),
  };
  exports.reset();
  return found;
}
