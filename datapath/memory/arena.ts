/**
 * The arena: one shared memory that holds everything threads share, in regions laid out once at start.
 *
 *     0x00000  nothing: address 0 means "none"
 *     0x10000  ArenaMap: where each region begins and how many records it has
 *     0x11000  regions, each on a cache line of its own; frames on a page
 *
 * TypeScript computes the layout from the configured limits (`src/arena.ts`) and writes the map before any
 * thread attaches; from then on nobody writes it, except the fields marked below. Each record's own file says
 * who writes it and how others see it. Records are named by number; addresses never leave the process.
 *
 * An instance of this module belongs to one thread. Its globals are that thread's own (a WebAssembly
 * instance's globals are not shared), and `self` is the only one that matters.
 */
@unmanaged
export class ArenaMap {
  // Regions. Written once, before any thread attaches.
  threads: usize;
  batches: usize;
  counters: usize;
  portCounters: usize;
  flowCounters: usize;
  caches: usize;
  transmitQueues: usize;
  rings: usize;
  shares: usize;
  strands: usize;
  ports: usize;
  meters: usize;
  tallies: usize;
  flows: usize;
  flowBodies: usize;
  lives: usize;
  badMoves: usize;
  revalidation: usize;
  ruleCounters: usize;
  blocks: usize;
  bucketTags: usize;
  bucketSlots: usize;
  subtables: usize;
  searches: usize;
  hashSalts: usize;
  stationTable: usize;
  stations: usize;
  pools: usize;
  poolStacks: usize;
  poolCaches: usize;
  frameRecords: usize;
  queues: usize;
  stages: usize;
  eventRings: usize;
  frames: usize;
  largeFrames: usize;
  connections: usize;
  connectionShards: usize;
  wheelLinks: usize;
  wheel: usize;
  filings: usize;
  admission: usize;
  zoneCounts: usize;
  zoneLimits: usize;
  timeouts: usize;
  zonePolicies: usize;
  kin: usize;
  expectations: usize;
  datagramTable: usize;
  datagrams: usize;
  fragments: usize;
  nameTable: usize;
  names: usize;
  nameNumbers: usize;
  nameBlocks: usize;
  nameBuffers: usize;

  // How many. Written once, before any thread attaches.
  threadCount: u32;
  handlerThread: u32; // the first of the threads that take misses; it looks after connections as well
  handlerCount: u32; // that and the next ones
  portCount: u32; // port numbers are 1 .. portCount - 1
  flowCount: u32;
  ruleCount: u32;
  bucketCount: u32;
  frameCount: u32;
  connectionLimit: u32; // the highest that the limit of connections can be; there are more records (pool.ts)
  kinCount: u32; // of connections that have to do with others, and of expectations: a power of two
  shardStride: u32; // bytes of a shard of the connections' table
  stationLimit: u32; // so many are known to NORMAL at most
  fragmentLimit: u32; // so many are held at most; there are as many datagrams
  nameBlockCount: u32;

  classifierLock: u32; // lock.ts
  subtableCount: u32; // written under the lock, read by all with atomic loads
  chainedFlows: u32; // so many are not in a slot (buckets.ts); the same

  // Moved on by any reclaimer with a compare-and-exchange; read by all with atomic loads (epoch.ts).
  epoch: u32;

  connectionFlags: u32; // CONNECTIONS_…; written by the handler, read by all with atomic loads
  eventsWanted: u32; // written by the handler; read by all with atomic loads (conntrack/events.ts)

  // Of flows (flow/): changed and read by all with atomic operations.
  liveFlows: u32; // so many take packets
  flowLimit: u32; // no more are installed when so many do
  dump: u32; // number of the dump of flows that is under way, or was the last; from 1 on
  keepsEvicted: u32; // not 0: a flow that was evicted is not replaced before it is swept
}

export const ARENA_MAP: usize = 0x10000;
export const ARENA_REGIONS: usize = 0x11000;

/** Bytes of a cache line: what one thread writes is kept this far from what another does. */
export const LINE: u32 = 64;

/** Number or index that names nothing. */
export const NONE: u32 = 0xffffffff;

export const map: ArenaMap = changetype<ArenaMap>(ARENA_MAP);
