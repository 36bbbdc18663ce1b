import { loadModule, createArena, Datapath, OP_OUTPUT, OP_END, NONE, MemoryQueue, PortRecord, Frame } from '../src/datapath.ts';
const flows = Number(process.argv[2] ?? 1000);
const arena = createArena(loadModule(), { threads: 2, ports: 8, flows: 65536, frames: 16384, largeFrames: 64 });
const dp = new Datapath(arena, 0);
const handler = new Datapath(arena, 1);
dp.openPort(1, 0, 2000); 
const pkt = Buffer.from('020000000002020000000001080045000032000000004011000000000000000000000001000200000000' , 'hex');
const frame = Buffer.alloc(60); pkt.copy(frame);
frame.writeUInt16BE(46, 16);
const q = dp.u32[(dp.portAt(1) + PortRecord.queue) >> 2]!;
let installed = 0;
for (let i = 0; i < 4096; i++) {
  const f = i % flows;
  frame.writeUInt32BE(0x0a000000 + f, 26); frame.writeUInt32BE(0x0a010000 + f, 30); frame.writeUInt16BE(1000 + f, 34); frame.writeUInt16BE(30, 38);
  const n = dp.exports.takeFrame(60);
  const at = dp.frameAt(n);
  dp.u8.set(frame, dp.u32[(at + Frame.data) >> 2]!);
  dp.u32[(at + Frame.length) >> 2] = 60;
  dp.u32[(q + 8 + 4 * i) >> 2] = n;
}
dp.u32[(q + MemoryQueue.head) >> 2] = 4096;
function step() { dp.setClock(1); const n = dp.exports.memoryPoll(1); const k = dp.exports.flush(); for (let i = 0; i < k; i++) { dp.readyPort(i); dp.exports.memoryTransmit(1); } dp.clearReadyPorts(); return n; }
const mask = new Uint8Array(64).fill(255, 0, 22).fill(255, 23, 28).fill(255,32);
const prog = new Uint32Array([OP_OUTPUT, 1, OP_END]);
let lost = 0;
for (;;) {
  const n = step();
  let m = handler.exports.takeMisses();
  if (!n && !m) break;
  for (let i = 0; i < m; i++) { let f = handler.exports.flowOfMiss(i) >>> 0; if (f === NONE) { f = handler.install(mask, handler.key(i), prog); if (f === NONE) throw new Error('no room'); installed++; } handler.exports.actByFlow(i, f); }
  handler.exports.flush(); handler.exports.leave();
  dp.exports.collect();
  if (installed >= flows && !m) break;
  if (lost++ > 10000) break;
}
console.log({ installed });
for (let r = 0; r < 6; r++) {
  const t = performance.now(); let n = 0;
  while (n < 10e6) n += step();
  const dt = performance.now() - t;
  console.log((n / dt / 1000).toFixed(2), 'Mpps', (dt * 1e6 / n).toFixed(1), 'ns');
}
