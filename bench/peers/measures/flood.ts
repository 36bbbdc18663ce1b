/**
 * Small packets: how many 64-byte frames leave the system when more arrive than it can take, what each of
 * them costs, and whether the system is well right afterwards.
 *
 * - `flood`: frames counted by the receiver's interface, which then drops them.
 * - `cpuNs`: CPU time of the system's process for each of them. That holds work which the kernel did in its
 *   system calls, and softirqs that happened to interrupt it; softirqs that ran elsewhere, such as in the
 *   sender, it lacks. Kernel systems have no process and no such figure.
 * - `cpuSystemNs`: busy time of all CPUs for each of them: the system, softirqs wherever they ran, but the
 *   sender as well, and whatever else the machine did meanwhile. Compare it between systems only.
 * - `afterFlood`: the first ping after the last frame. Not answered within a second, the system is wedged.
 *
 * The sender's interface may not take segments whole, or the frames would not be small; this stays so, for
 * the hosts are thrown away after the round.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { end } from '../../../src/lab/command.ts';
import { DEVICE } from '../../../src/lab/lab.ts';
import { ADDRESS, plantDecoy, type Topology } from '../topology.ts';
import type { Measure, Reading } from './measure.ts';
import { processCpuNs, systemCpuNs } from './usage.ts';

const SENDER = fileURLToPath(new URL('../flood.js', import.meta.url));
/** Until the sender runs at full speed. */
const WARM_UP_SECONDS = 1;
/** A frame of 64 bytes as Linux counts it: without the check sequence. */
const FRAME_BYTES = 60;

export const flood: Measure = {
  name: 'flood',
  tools: ['ethtool', 'ping'],
  async take({ topology, running, seconds, signal }) {
    await plantDecoy(topology);
    await topology.run('sender', ['ethtool', '-K', DEVICE, 'gso', 'off', 'tx-udp-segmentation', 'off']);
    const life = String(WARM_UP_SECONDS + seconds + 0.5);
    const sender = topology.spawn('sender', [process.execPath, SENDER, ADDRESS.decoy, life], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    sender.stderr!.on('data', (text) => {
      said = `${said}${text}`.slice(-2000);
    });
    try {
      const ended = new Promise<void>((resolve) => sender.once('exit', () => resolve()));
      await sleep(WARM_UP_SECONDS * 1000, undefined, { signal });
      const before = await observe(topology, running.processId);
      await sleep(seconds * 1000, undefined, { signal });
      const after = await observe(topology, running.processId);
      await ended;
      if (sender.exitCode !== 0)
        throw new Error(/Error: (.*)/.exec(said)?.[1] ?? `the sender failed: ${said}`);
      return [...figures(before, after), await pingAfter(topology)];
    } finally {
      await end(sender);
    }
  },
};

interface Observation {
  atNs: number;
  frames: number;
  bytes: number;
  processNs?: number;
  systemNs: number;
}

/** Counters and clock are read in the receiver, side by side. */
async function observe(topology: Topology, processId?: number): Promise<Observation> {
  const counters = `cd /sys/class/net/${DEVICE}/statistics; date +%s%N; cat rx_packets rx_bytes`;
  const output = await topology.run('receiver', ['sh', '-c', counters]);
  const [atNs, frames, bytes] = output.split('\n').map(Number);
  return { atNs, frames, bytes, processNs: processId && processCpuNs(processId), systemNs: systemCpuNs() };
}

function figures(before: Observation, after: Observation): Reading[] {
  const frames = after.frames - before.frames;
  if (frames === 0) return [{ name: 'flood', unit: 'kpps', failure: 'nothing left the system' }];
  const size = (after.bytes - before.bytes) / frames;
  if (Math.abs(size - FRAME_BYTES) > 1)
    throw new Error(`frames had ${size.toFixed(0)} bytes; expected ${FRAME_BYTES}`);
  const parameters = { frameBytes: FRAME_BYTES + 4 };
  const readings: Reading[] = [
    { name: 'flood', unit: 'kpps', value: (frames / (after.atNs - before.atNs)) * 1e6, parameters },
    {
      name: 'cpuSystemNs',
      unit: 'ns/packet',
      value: (after.systemNs - before.systemNs) / frames,
      parameters,
    },
  ];
  if (before.processNs !== undefined && after.processNs !== undefined)
    readings.push({
      name: 'cpuNs',
      unit: 'ns/packet',
      value: (after.processNs - before.processNs) / frames,
      parameters,
    });
  return readings;
}

async function pingAfter(topology: Topology): Promise<Reading> {
  const reading = { name: 'afterFlood', unit: 'ms' };
  try {
    const output = await topology.run('sender', ['ping', '-c', '1', '-W', '1', '-n', ADDRESS.receiver]);
    return { ...reading, value: Number(/time=([\d.]+) ms/.exec(output)![1]) };
  } catch {
    return { ...reading, failure: 'wedged' };
  }
}
