/**
 * The module that tests load: what production uses, and beside it the structures' own functions, so that
 * each can be held against a naive twin. Compiled to build/heddle-test.wasm from the same sources.
 */

export { execute } from './action/execute';
export { cached, remember } from './flow/cache';
export { classify } from './flow/classifier';
export { hashKey } from './flow/hash';
export { currentEpoch, enter } from './memory/epoch';
export { acquire, release } from './memory/lock';
export { give, take } from './memory/pool';
export { available, get, put, ringBetween } from './memory/ring';
export { fold, sum, update, updatePartial } from './packet/checksum';
export { crc32c, crc32cZeros } from './packet/crc32c';
export { copyFrame } from './packet/frame';
export { popMpls, pushMpls } from './packet/mpls';
export { parse } from './packet/parse';
export { setWord } from './packet/rewrite';
export { cutSegment, segmentCount, segmentHeaders } from './packet/segment';
export { completeChecksum, verifyChecksum } from './packet/transport-checksum';
export { popVlan, pushVlan } from './packet/vlan';
export * from './run';
export { enqueue } from './transmit';
