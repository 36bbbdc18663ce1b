/**
 * Lays out the arena: one shared memory sized from the limits, the map of its regions at its beginning,
 * every pool full. Address space is reserved; pages are touched when they are used.
 */
import {
  ADMISSION_SIZE,
  Admission,
  ARENA_MAP,
  ARENA_REGIONS,
  ArenaMap,
  BAD_MOVES_SIZE,
  BATCH_STRIDE,
  BLOCK_STRIDE,
  BODY_STRIDE,
  BUCKET_FLOWS,
  BUCKET_SLOTS_SIZE,
  BUCKET_TAGS_SIZE,
  CACHE_ENTRIES,
  CONNECTION_ORIGIN,
  CONNECTION_STRIDE,
  COUNTERS,
  CUCKOO_BUCKET,
  CUCKOO_BUCKETS,
  CUCKOO_SLOTS,
  CuckooMap,
  DATAGRAM_FAMILIES,
  DATAGRAM_STRIDE,
  DATAGRAM_TABLE_SIZE,
  DatagramTable,
  EVENT_RING_STRIDE,
  EXPECTATION_HEAD,
  EXPECTATION_HEADS,
  EXPECTATION_STRIDE,
  FAMILY_STRIDE,
  FLOW_COUNTERS_STRIDE,
  FLOW_STRIDE,
  FRAGMENT_STRIDE,
  FRAME_RECORD,
  FRAME_SIZE,
  FragmentFamily,
  Frame,
  HASH_SALTS,
  KIN_RECORDS,
  KIN_STRIDE,
  LARGE_FRAME_SIZE,
  LIFE_STRIDE,
  LINE,
  MAX_PORTS,
  MAX_SUBTABLES,
  MAX_THREADS,
  METER_STRIDE,
  METERS,
  MPSC_STRIDE,
  MPSC_STUB,
  MpscQueue,
  NAME_BLOCK_STRIDE,
  NAME_BYTES_MOST,
  NAME_KINDS,
  NAME_QUEUE_STRIDE,
  NAME_QUEUES,
  NAME_STRIDE,
  NAME_TABLE_SIZE,
  NAMES,
  NameQueue,
  Origin,
  POLICIES,
  POLICY_STRIDE,
  POOL_BLOCKS,
  POOL_CACHE,
  POOL_CACHE_STRIDE,
  POOL_CONNECTIONS,
  POOL_FLOWS,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  POOL_STRIDE,
  POOLS,
  PORT_COUNTERS_STRIDE,
  PORT_STRIDE,
  Pool,
  QUEUE_SIZE,
  REVALIDATION_SIZE,
  Revalidation,
  RING_STRIDE,
  RULE_COUNTERS_STRIDE,
  SEARCH_STRIDE,
  SHARD_MAP,
  SHARDS,
  SHARES_STRIDE,
  STAGES_STRIDE,
  STATION_STRIDE,
  STATION_TABLE_SIZE,
  STRANDS_STRIDE,
  SUBTABLE_STRIDE,
  TALLIES,
  TALLY_STRIDE,
  THREAD_STRIDE,
  Thread,
  TIMEOUT_ICMP_FIRST,
  TIMEOUT_ICMP_REPLY,
  TIMEOUT_TCP_CLOSE,
  TIMEOUT_TCP_ESTABLISHED,
  TIMEOUT_TCP_FIN_WAIT,
  TIMEOUT_TCP_SYN_RECV,
  TIMEOUT_TCP_SYN_SENT,
  TIMEOUT_TCP_TIME_WAIT,
  TIMEOUT_UDP_FIRST,
  TIMEOUT_UDP_MULTIPLE,
  TIMEOUT_UDP_SINGLE,
  TRANSMIT_STRIDE,
  WHEEL_LINK_STRIDE,
  WHEEL_SIZE,
  ZONES,
} from './generated/layout.ts';

/** How many of each record the arena has. All are fixed at start. */
export interface ArenaLimits {
  /** Datapath threads, then handlers, then revalidators. */
  threads: number;
  /** Of those threads: take misses. One, unless something else is said. */
  handlers?: number;
  /** Of those threads: look after flows. None, unless something else is said. */
  revalidators?: number;
  /** Highest port number plus one. */
  ports: number;
  /** Queues of ports that share memory with the kernel. */
  queues: number;
  flows: number;
  /** Stations that NORMAL may know. */
  macs: number;
  /** Rules of the tables. */
  rules: number;
  /** Frames of 2 KiB. */
  frames: number;
  /** Frames of 66 KiB, for whole segments. */
  largeFrames: number;
  /** Tracked at a time. */
  connections: number;
}

export interface Region {
  name: string;
  address: number;
  records: number;
  recordBytes: number;
}

/** What threads need to join: structured-clonable, so it travels to workers. */
export interface Arena {
  memory: WebAssembly.Memory;
  module: WebAssembly.Module;
  limits: ArenaLimits;
  regions: readonly Region[];
}

/** Tables of rules. Behind the counters of rules come theirs, of packets for which they had none. */
export const TABLES = 255;

/** So many fragments may wait at most, as in Open vSwitch. */
export const MOST_FRAGMENTS = 5000;
/** Unless something else is said: how many, and of how many bytes by the version of IP. As there, too. */
export const DEFAULT_FRAGMENTS = { most: 1000, leastBytes: { 4: 1200, 6: 1280 } } as const;

/** How long connections last without a packet, in milliseconds, unless their zone says otherwise: as in Open vSwitch. */
const DEFAULT_TIMEOUTS = {
  [TIMEOUT_TCP_SYN_SENT]: 30_000,
  [TIMEOUT_TCP_SYN_RECV]: 30_000,
  [TIMEOUT_TCP_ESTABLISHED]: 86_400_000,
  [TIMEOUT_TCP_FIN_WAIT]: 900_000,
  [TIMEOUT_TCP_TIME_WAIT]: 45_000,
  [TIMEOUT_TCP_CLOSE]: 30_000,
  [TIMEOUT_UDP_FIRST]: 60_000,
  [TIMEOUT_UDP_SINGLE]: 60_000,
  [TIMEOUT_UDP_MULTIPLE]: 30_000,
  [TIMEOUT_ICMP_FIRST]: 60_000,
  [TIMEOUT_ICMP_REPLY]: 30_000,
} as const;
/** How installed flows are looked after unless something else is said: as in Open vSwitch. */
export const DEFAULT_REVALIDATION = {
  /** The flow limit is never higher. */
  mostFlows: 200_000,
  /** A flow that no packet took for so long goes. */
  maxIdleMs: 10_000,
  /** Rounds begin so far apart at most; one that takes more than half of that has no time for flows of little use. */
  maxRevalidatorMs: 500,
  /** A flow of little use has fewer packets a second; 0: none is. */
  minRevalidatePps: 5,
} as const;
const PAGE = 4096;
const WASM_PAGE = 65536;

type RegionName = keyof typeof ArenaMap & string;

/** How many threads have each role, in the order of their numbers. */
export function rolesOf({ threads, handlers = 1, revalidators = 0 }: ArenaLimits): {
  datapaths: number;
  handlers: number;
  revalidators: number;
} {
  return { datapaths: threads - handlers - revalidators, handlers, revalidators };
}

/** The regions in order, each `records` × `recordBytes`, aligned. */
function plan(limits: ArenaLimits): { regions: Region[]; bytes: number } {
  const { threads, ports, queues, flows, rules, macs, frames, largeFrames } = limits;
  const connections = connectionRecords(limits);
  const kin = kinCount(limits);
  const regions: Region[] = [];
  let at = ARENA_REGIONS;
  const region = (name: RegionName, records: number, recordBytes: number, align = LINE) => {
    at = Math.ceil(at / align) * align;
    regions.push({ name, address: at, records, recordBytes });
    at += records * recordBytes;
  };
  region('threads', threads, THREAD_STRIDE);
  region('batches', threads, BATCH_STRIDE);
  region('counters', threads, COUNTERS * 8);
  region('portCounters', threads * ports, PORT_COUNTERS_STRIDE);
  region('flowCounters', threads * flows, FLOW_COUNTERS_STRIDE);
  region('caches', threads, CACHE_ENTRIES * 8);
  region('transmitQueues', threads * ports, TRANSMIT_STRIDE);
  region('rings', threads * threads, RING_STRIDE);
  region('shares', threads * (rolesOf(limits).handlers + 1), SHARES_STRIDE);
  region('strands', rolesOf(limits).datapaths, STRANDS_STRIDE);
  region('ports', ports, PORT_STRIDE);
  region('meters', METERS, METER_STRIDE);
  region('tallies', threads * TALLIES, TALLY_STRIDE);
  region('flows', flows, FLOW_STRIDE);
  region('flowBodies', flows, BODY_STRIDE);
  region('lives', flows, LIFE_STRIDE);
  region('badMoves', 1, BAD_MOVES_SIZE);
  region('revalidation', 1, REVALIDATION_SIZE);
  region('ruleCounters', rules + TABLES, RULE_COUNTERS_STRIDE);
  region('blocks', flows, BLOCK_STRIDE);
  region('bucketTags', bucketCount(flows), BUCKET_TAGS_SIZE);
  region('bucketSlots', bucketCount(flows), BUCKET_SLOTS_SIZE);
  region('subtables', MAX_SUBTABLES, SUBTABLE_STRIDE);
  region('searches', threads, SEARCH_STRIDE);
  region('hashSalts', HASH_SALTS, 4);
  region('stationTable', 1, STATION_TABLE_SIZE);
  region('stations', macs, STATION_STRIDE);
  region('nameTable', 1, NAME_TABLE_SIZE);
  region('names', NAME_KINDS * NAMES, NAME_STRIDE);
  region('nameNumbers', NAME_KINDS * NAMES, 2);
  region('nameBlocks', nameBlockCount(limits), NAME_BLOCK_STRIDE);
  region('nameBuffers', threads, NAME_BYTES_MOST);
  region('pools', POOLS, POOL_STRIDE);
  region('poolStacks', frames + largeFrames + 2 * flows + connections, 4);
  region('poolCaches', threads * POOLS, POOL_CACHE_STRIDE);
  region('frameRecords', frames + largeFrames, FRAME_RECORD);
  region('stages', threads, STAGES_STRIDE);
  region('eventRings', threads, EVENT_RING_STRIDE);
  region('connections', connections, CONNECTION_STRIDE);
  region('connectionShards', connections && SHARDS, shardStride(limits));
  region('wheelLinks', connections, WHEEL_LINK_STRIDE);
  region('wheel', 1, WHEEL_SIZE);
  region('filings', 1, MPSC_STRIDE);
  region('admission', 1, ADMISSION_SIZE);
  region('zoneCounts', ZONES, 8);
  region('zoneLimits', ZONES, 4);
  region('timeouts', POLICIES, POLICY_STRIDE);
  region('zonePolicies', ZONES, 1);
  region('kin', 1, KIN_RECORDS + kin * KIN_STRIDE);
  region('expectations', 1, EXPECTATION_HEADS + kin * (EXPECTATION_HEAD + EXPECTATION_STRIDE));
  region('datagramTable', 1, DATAGRAM_TABLE_SIZE);
  region('datagrams', fragmentLimit(limits), DATAGRAM_STRIDE);
  region('fragments', frames + largeFrames, FRAGMENT_STRIDE);
  region('queues', queues, QUEUE_SIZE, PAGE);
  region('frames', frames, FRAME_SIZE, PAGE);
  region('largeFrames', largeFrames, LARGE_FRAME_SIZE, PAGE);
  return { regions, bytes: at };
}

function bucketCount(flows: number): number {
  return Math.ceil(flows / BUCKET_FLOWS);
}

/** How many fragments may wait for the rest of their datagrams: what they are in, others lack. */
export function fragmentLimit({ connections, frames }: { connections: number; frames: number }): number {
  return connections && Math.min(MOST_FRAGMENTS, frames >> 4);
}

/**
 * Who keeps names is flows. Most need none; of those that do, each has a state of its own at worst, of four blocks
 * as it is usually, and a packet-in of one. So there is enough for as many as there are numbers of states; there are
 * some more, since what nobody keeps stays for a while.
 */
function nameBlockCount({ flows }: ArenaLimits): number {
  return 4096 + 5 * Math.min(flows, NAMES);
}

/** What threads keep at hand does not count against the limit of connections. */
function connectionRecords({ threads, connections }: ArenaLimits): number {
  return connections && connections + POOL_CACHE * threads;
}

/** So many connections may have to do with others, and so many others be expected: of all one in 64, or more. */
function kinCount({ connections }: ArenaLimits): number {
  return connections && 2 ** Math.min(15, Math.max(6, Math.floor(Math.log2(connections / 64))));
}

/**
 * Three quarters of a shard's slots are used when there are as many connections as may be, with two entries each. They
 * are spread by chance: so there is room for six standard deviations more.
 */
function shardStride({ connections }: ArenaLimits): number {
  const entries = (2 * connections) / SHARDS;
  const buckets = (entries + 6 * Math.sqrt(entries)) / CUCKOO_SLOTS / 0.75;
  return SHARD_MAP + CUCKOO_BUCKETS + CUCKOO_BUCKET * 2 ** Math.max(1, Math.ceil(Math.log2(buckets)));
}

/**
 * Makes an arena in which no thread has started yet. The salts of flow keys' hashes are drawn from `hashSeed`,
 * 32 bits.
 * @throws RangeError when the limits are out of bounds or need more than 4 GiB.
 */
export function createArena(module: WebAssembly.Module, limits: ArenaLimits, hashSeed: number): Arena {
  checkLimits(limits);
  const { regions, bytes } = plan(limits);
  const pages = Math.ceil(bytes / WASM_PAGE);
  if (pages > 65536) {
    throw new RangeError(
      `limits need ${Math.ceil(bytes / 2 ** 20)} MiB of memory; at most 4096 MiB is possible`,
    );
  }
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const u32 = new Uint32Array(memory.buffer);
  const set = (field: RegionName, value: number) => {
    u32[(ARENA_MAP + ArenaMap[field]) >> 2] = value;
  };
  for (const { name, address } of regions) set(name as RegionName, address);
  set('threadCount', limits.threads);
  const { datapaths, handlers } = rolesOf(limits);
  set('handlerThread', datapaths);
  set('handlerCount', handlers);
  set('portCount', limits.ports);
  set('flowCount', limits.flows);
  set('flowLimit', limits.flows);
  set('ruleCount', limits.rules + TABLES);
  set('bucketCount', bucketCount(limits.flows));
  set('frameCount', limits.frames);
  set('connectionLimit', limits.connections);
  set('kinCount', kinCount(limits));
  set('shardStride', shardStride(limits));
  set('stationLimit', limits.macs);
  set('fragmentLimit', fragmentLimit(limits));
  set('nameBlockCount', nameBlockCount(limits));
  set('epoch', 1);
  const arena = { memory, module, limits, regions };
  fillSalts(arena, u32, hashSeed);
  fillThreads(arena, u32);
  fillPools(arena, u32);
  fillFrames(arena, u32);
  if (limits.connections > 0) fillConnections(arena, u32);
  fillTimeouts(arena, u32);
  fillDatagrams(arena, u32);
  fillRevalidation(arena, u32);
  fillNames(arena);
  return arena;
}

function checkLimits({ threads, ports, frames, flows }: ArenaLimits): void {
  if (threads > MAX_THREADS) throw new RangeError(`${threads} threads; at most ${MAX_THREADS} are possible`);
  if (ports > MAX_PORTS)
    throw new RangeError(`ports up to ${ports - 1}; at most ${MAX_PORTS - 1} are possible`);
  // Each thread's caches may keep this many out of the others' reach.
  const least = 2 * POOL_CACHE * threads;
  if (frames < least)
    throw new RangeError(`limits.frames is ${frames}; ${threads} threads need at least ${least}`);
  if (flows < least)
    throw new RangeError(`limits.flows is ${flows}; ${threads} threads need at least ${least}`);
}

/** Address of a region. */
export function regionAddress(arena: Arena, name: string): number {
  const region = arena.regions.find((r) => r.name === name);
  if (!region) throw new Error(`no region ${name}`);
  return region.address;
}

/** By SplitMix (Steele, Lea and Flood 2014) with Murmur's 32-bit finaliser. */
function fillSalts(arena: Arena, u32: Uint32Array, seed: number): void {
  const salts = regionAddress(arena, 'hashSalts') >> 2;
  for (let i = 0; i < HASH_SALTS; i++) {
    let x = (seed + (i + 1) * 0x9e37_79b9) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
    u32[salts + i] = x ^ (x >>> 16);
  }
}

/** Each thread has a batch. */
function fillThreads(arena: Arena, u32: Uint32Array): void {
  const threads = regionAddress(arena, 'threads');
  const batches = regionAddress(arena, 'batches');
  for (let i = 0; i < arena.limits.threads; i++) {
    u32[(threads + i * THREAD_STRIDE + Thread.batch) >> 2] = batches + i * BATCH_STRIDE;
  }
}

function fillPools(arena: Arena, u32: Uint32Array): void {
  const { frames, largeFrames, flows } = arena.limits;
  const sizes: [number, number][] = [
    [POOL_FRAMES, frames],
    [POOL_LARGE_FRAMES, largeFrames],
    [POOL_FLOWS, flows],
    [POOL_BLOCKS, flows],
    [POOL_CONNECTIONS, connectionRecords(arena.limits)],
  ];
  let stack = regionAddress(arena, 'poolStacks');
  for (const [pool, size] of sizes) {
    const at = (regionAddress(arena, 'pools') + pool * POOL_STRIDE) >> 2;
    u32[at + (Pool.free >> 2)] = size;
    u32[at + (Pool.stack >> 2)] = stack;
    u32[at + (Pool.numbers >> 2)] = size;
    u32[at + (Pool.least >> 2)] = size;
    // The lowest numbers on top, so that a quiet switch touches few pages.
    for (let i = 0; i < size; i++) u32[(stack >> 2) + i] = size - 1 - i;
    stack += 4 * size;
  }
}

function fillFrames(arena: Arena, u32: Uint32Array): void {
  const records = regionAddress(arena, 'frameRecords');
  const fill = (first: number, count: number, address: number, size: number) => {
    for (let i = 0; i < count; i++) {
      const at = (records + (first + i) * FRAME_RECORD) >> 2;
      u32[at + (Frame.base >> 2)] = address + i * size;
    }
  };
  const { frames, largeFrames } = arena.limits;
  fill(0, frames, regionAddress(arena, 'frames'), FRAME_SIZE);
  fill(frames, largeFrames, regionAddress(arena, 'largeFrames'), LARGE_FRAME_SIZE);
}

/** Empty shards, as many connections as may be, and an empty queue of those to look at. */
function fillConnections(arena: Arena, u32: Uint32Array): void {
  const shards = regionAddress(arena, 'connectionShards');
  const stride = shardStride(arena.limits);
  const buckets = (stride - SHARD_MAP - CUCKOO_BUCKETS) / CUCKOO_BUCKET;
  for (let i = 0; i < SHARDS; i++) {
    u32[(shards + i * stride + SHARD_MAP + CuckooMap.mask) >> 2] = buckets - 1;
  }
  const admission = regionAddress(arena, 'admission');
  u32[((admission + Admission.all) >> 2) + 1] = arena.limits.connections;
  const queue = regionAddress(arena, 'filings');
  u32[(queue + MpscQueue.last) >> 2] = MPSC_STUB;
  u32[(queue + MpscQueue.first) >> 2] = MPSC_STUB;
  u32[(queue + MpscQueue.links) >> 2] = regionAddress(arena, 'connections') + CONNECTION_ORIGIN + Origin.next;
  u32[(queue + MpscQueue.stride) >> 2] = CONNECTION_STRIDE;
}

/** How the rounds of revalidators go as long as nobody says otherwise. */
function fillRevalidation(arena: Arena, u32: Uint32Array): void {
  const record = regionAddress(arena, 'revalidation');
  const { mostFlows, ...rest } = DEFAULT_REVALIDATION;
  const settings = { ...rest, mostFlows: Math.min(mostFlows, arena.limits.flows) };
  for (const [name, value] of Object.entries(settings)) {
    u32[(record + Revalidation[name as keyof typeof settings]) >> 2] = value;
  }
}

/** The default timeouts in every policy. */
function fillTimeouts(arena: Arena, u32: Uint32Array): void {
  const timeouts = regionAddress(arena, 'timeouts');
  for (let policy = 0; policy < POLICIES; policy++) {
    const at = (timeouts + policy * POLICY_STRIDE) >> 2;
    for (const [which, ms] of Object.entries(DEFAULT_TIMEOUTS)) u32[at + Number(which)] = ms;
  }
}

/** No datagrams; fragments of usual sizes are taken. */
function fillDatagrams(arena: Arena, u32: Uint32Array): void {
  const table = regionAddress(arena, 'datagramTable');
  const { most, leastBytes } = DEFAULT_FRAGMENTS;
  u32[(table + DatagramTable.most) >> 2] = Math.min(most, fragmentLimit(arena.limits));
  for (const [family, bytes] of [leastBytes[4], leastBytes[6]].entries()) {
    const at = table + DATAGRAM_FAMILIES + family * FAMILY_STRIDE;
    u32[(at + FragmentFamily.leastBytes) >> 2] = bytes;
  }
}

/** All numbers but 0 are free. */
function fillNames(arena: Arena): void {
  const { buffer } = arena.memory;
  const numbers = new Uint16Array(buffer, regionAddress(arena, 'nameNumbers'), NAME_KINDS * NAMES);
  const queues = new BigUint64Array(buffer);
  for (let kind = 0; kind < NAME_KINDS; kind++) {
    for (let i = 1; i < NAMES; i++) numbers[kind * NAMES + i - 1] = i;
    const queue = regionAddress(arena, 'nameTable') + NAME_QUEUES + kind * NAME_QUEUE_STRIDE;
    queues[(queue + NameQueue.put) >> 3] = BigInt(NAMES - 1);
  }
}
