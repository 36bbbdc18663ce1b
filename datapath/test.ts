/**
 * The module that tests load: what production uses, and beside it the structures' own functions, so that
 * each can be held against a naive twin. Compiled to build/heddle-test.wasm from the same sources.
 */

export { execute } from './action/execute';
export { auditStations } from './audit-stations';
export { connectionAt } from './conntrack/connection';
export { abandon, admit, publish, reserve, takeConnection } from './conntrack/create';
export { noteEvent } from './conntrack/events';
export { extract } from './conntrack/extract';
export { expireAt } from './conntrack/filing';
export { chooseTranslation } from './conntrack/nat';
export { advanceConnection, beginConnection } from './conntrack/protocol';
export { ownSegment } from './conntrack/segment';
export { forgetTracking } from './conntrack/state';
export { lookUp, removeConnection } from './conntrack/table';
export { timeoutOf } from './conntrack/timeouts';
export { track } from './conntrack/track';
export { letGo } from './conntrack/train';
export { translate, translateError } from './conntrack/translate';
export { hashTuple, reverseTuple } from './conntrack/tuple';
export { cached, remember } from './flow/cache';
export { classify } from './flow/classifier';
export { hashKey } from './flow/hash';
export { move as moveLife } from './flow/life';
export { chooseHandler, strandOf } from './handlers';
export { arrive, format as formatBarrier, leave as leaveBarrier } from './memory/barrier';
export {
  find as findInMap,
  findNext as findNextInMap,
  format as formatMap,
  insert as insertInMap,
  remove as removeFromMap,
} from './memory/cuckoo';
export { ring as ringDoorbell } from './memory/doorbell';
export { advance } from './memory/epoch';
export { acquire, release } from './memory/lock';
export { format as formatQueue, pop, push } from './memory/mpsc';
export { forgetKeepers, releaseName, retainName } from './memory/names';
export { give, take } from './memory/pool';
export { available, get, put, ringBetween } from './memory/ring';
export { beginRead, beginWrite, copyOut, endWrite, isWhole } from './memory/sequence';
export { add, sumOf, tallyAt } from './memory/tally';
export { fold, sum, update, updatePartial } from './packet/checksum';
export { crc32c, crc32cZeros } from './packet/crc32c';
export { copyFrame } from './packet/frame';
export { popMpls, pushMpls } from './packet/mpls';
export { parse } from './packet/parse';
export { setWord } from './packet/rewrite';
export { cutSegment, segmentCount, segmentHeaders } from './packet/segment';
export { splice } from './packet/splice';
export { completeChecksum, verifyChecksum } from './packet/transport-checksum';
export { popVlan, pushVlan } from './packet/vlan';
export * from './run';
export { passToHandler, shareOf, sharesBetween, sharesWaiting, takePassed } from './share';
export { enqueue } from './transmit';
