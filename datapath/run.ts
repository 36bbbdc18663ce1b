/**
 * The module's exports: what the TypeScript of each thread calls, a batch at a time.
 * `src/datapath.ts` is the only caller.
 */

export {
  expireStations,
  forgetStations,
  learnAgain,
  lookUpStation,
  nextStation,
} from './bridge/learn';
export { stationGeneration } from './bridge/stations';
export { mendDatagrams } from './conntrack/datagrams';
export { endEvent, nextEvent, takeLostEvents, watchEvents } from './conntrack/events';
export { nextExpectation } from './conntrack/expectation-list';
export { dueMs as sweepDueMs, sweep } from './conntrack/expiry';
export { passes } from './conntrack/filter';
export { dropAllFragments, fragmentsDueMs, sweepFragments } from './conntrack/fragment-expiry';
export { nextLimitedZone } from './conntrack/limited';
export { flushConnections, listConnections } from './conntrack/list';
export { reclaimConnections } from './conntrack/recover';
export { checksSequence, setSequenceChecking } from './conntrack/tcp';
export {
  defaultTimeout,
  deleteTimeouts,
  nextZoneWithTimeouts,
  ownTimeout,
  setTimeoutOf,
} from './conntrack/timeouts';
export { parseBatch, setSourceRange, trackBatch } from './conntrack/track-batch';
export {
  connectionCount,
  connectionLimit,
  defaultLimit,
  deleteZoneLimit,
  setConnectionLimit,
  setDefaultLimit,
  setZoneLimit,
  zoneCount,
  zoneLimit,
} from './conntrack/zones';
export { countOne } from './counters';
export { beginDump, dumpStep } from './flow/dump';
export { install } from './flow/install';
export { readProgram } from './flow/read-program';
export { areGivenBack, reclaim } from './flow/retire';
export { evictFlow, failFlow, renewFlow } from './flow/revalidate';
export { creditPackets } from './flow/rule-counters';
export { remove, sweepStep } from './flow/sweep';
export { lookUpUncached } from './lookup';
export { beginSleep, endSleep, sleepUntilRung } from './memory/doorbell';
export { currentEpoch, enter, leave } from './memory/epoch';
export { findName, internName, nameSerial, readName, sweepNames } from './memory/names';
export { everTaken } from './memory/pool';
export { attach } from './memory/thread';
export { noteDone } from './order';
export { coalesce } from './packet/coalesce';
export { giveFrame, takeFrame } from './packet/frame';
export { xdpBacklog, xdpPoll, xdpRelease, xdpTransmit } from './port/afxdp';
export { hostPrepare, hostSent } from './port/host';
export { memoryPoll, memoryTransmit } from './port/memory';
export {
  packetArm,
  packetDisarm,
  packetFill,
  packetRead,
  packetReceived,
  packetRefused,
  packetSent,
} from './port/packet';
export { streamPoll, streamTransmit } from './port/stream';
export { process, resume } from './process';
export { endPunt, parsePunt, puntCount } from './punt';
export { reclaimFlows, reclaimFrames, releaseLocks, reset, settle } from './reclaim';
export {
  endPhase,
  joinRevalidation,
  leadsRevalidation,
  revalidationPhase,
  revalidatorsThere,
  ringRevalidators,
  waitsForOthers,
} from './revalidation';
export { collect, dropAtPort, flush, hasWork } from './transmit';
export { copyTrial, tryChange, tryCt, tryLookUp, tryParse, trySelect } from './trial';
export { actByFlow, actByProgram, flowOfMiss, takeMisses } from './upcall';
