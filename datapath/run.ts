/**
 * The module's exports: what the TypeScript of each thread calls, a batch at a time.
 * `src/datapath.ts` is the only caller.
 */

export { install, reclaim, remove } from './flow/install';
export { leave } from './memory/epoch';
export { attach } from './memory/thread';
export { coalesce } from './packet/coalesce';
export { giveFrame, takeFrame } from './packet/frame';
export { xdpBacklog, xdpPoll, xdpRelease, xdpTransmit } from './port/afxdp';
export { hostPrepare, hostSent } from './port/host';
export { memoryPoll, memoryTransmit } from './port/memory';
export {
  packetArm,
  packetDisarm,
  packetFill,
  packetReceived,
  packetRefused,
  packetSent,
} from './port/packet';
export { process } from './process';
export { endPunt, parsePunt, puntCount } from './punt';
export { collect, dropAtPort, flush, hasWork } from './transmit';
export { actByFlow, actByProgram, flowOfMiss, takeMisses } from './upcall';
