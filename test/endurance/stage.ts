/**
 * Where a switch is put to the test: two threads of each kind, two traffic ports that always talk to each other, and ports that
 * come and go. As root also hosts, each cabled to a port, and a tap device, all under a bounded load:
 *
 *     t1 ⇄ t2    simulated hosts, always there          x1, x2     simulated hosts, which talk to t1
 *     p1 ⇄ p2    packet: TCP with whole segments        stream     frames for a station that nobody knows: floods
 *     p3 ⇄ p4    afxdp: UDP and pings                   reading    a capture, again and again
 *     p5 ⇄ p6    packet, afxdp: their cables go away    tap        pings p1's host
 *                and return
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt, command } from '../../src/lab/command.ts';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import type { Ending } from '../support/ending.ts';
import { udp } from '../support/frames.ts';
import { numbered } from '../support/hosts.ts';
import { type LabHost, type TestLab, withLab } from '../support/lab.ts';
import { type TestSwitch, withSwitch } from '../support/switch.ts';
import { Loads } from './loads.ts';

export interface PortSpec {
  name: string;
  /** As its configuration says it. */
  options: object;
}

/** A cable that can be pulled out, with all that its interfaces were. */
export interface Cable {
  port: string;
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export interface Stage {
  heddle: TestSwitch;
  loads: Loads;
  /** For files. */
  folder: string;
  /** Ports that come and go; they are there at first. */
  transient: readonly PortSpec[];
  cables: readonly Cable[];
  /** What namespaces and interfaces of the hosts begin with. */
  prefix: string | undefined;
}

/** So many there are of each kind. */
export const THREADS = { datapath: 2, handler: 2, revalidator: 2 };
/** There whenever others have been replaced: what is IP is tracked, and begins connections. */
export const ALWAYS = [
  'table=0,priority=0,ip,actions=ct(table=2)',
  'table=0,priority=0,actions=NORMAL',
  'table=1,actions=NORMAL',
  'table=2,ip,actions=ct(commit),NORMAL',
].join('\n');
/** Flows of the datapath go so soon: they come and go all the time. */
const IDLE_MS = 300;
const QUIET = { stdio: 'ignore' } as const;

/** Always there. The first only answers, and so can be there before the other. */
export const STEADY: readonly PortSpec[] = [
  { name: 't2', options: { type: 'traffic', number: 2, thread: 2, peers: [], ...traffic(0) } },
  { name: 't1', options: { type: 'traffic', number: 1, thread: 1, peers: ['t2'], ...traffic(300) } },
];

function traffic(connectionsPerSecond: number): object {
  return { hosts: 20, connectionsPerSecond, bytesPerConnection: 5000, seed: connectionsPerSecond };
}

/** Sets everything up, does `work`, and takes everything down. */
export async function withStage<T>(
  ending: Ending,
  asRoot: boolean,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  if (!asRoot) return withPorts(ending, undefined, work);
  const hosts = numbered(6, (n) => ({
    offload: n === 1 || n === 2 || n === 5,
    address: n === 1 ? ['10.1.1.1/24', '10.1.2.1/24'] : [`10.1.1.${n}/24`],
  }));
  return withLab(ending, hosts, (lab) => withPorts(ending, lab, work));
}

async function withPorts<T>(
  ending: Ending,
  lab: TestLab | undefined,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-endurance-'));
  ending.after(() => rmSync(folder, { recursive: true, force: true }));
  const transient = [...withoutRights(folder), ...(lab ? ofHosts(lab) : [])];
  const lasting = lab ? cabled(lab) : [];
  // The sink is where mirrors send.
  const sink = { name: 'sink', options: { type: 'capture', write: '/dev/null' } };
  const ports = [...STEADY, sink, ...transient, ...lasting];
  const config = {
    ports: Object.fromEntries(ports.map(({ name, options }) => [name, options])),
    threads: THREADS,
    revalidation: { maxIdleMs: IDLE_MS },
    flows: ALWAYS,
  };
  return withSwitch(ending, config, async (heddle) => {
    const loads = new Loads(ending);
    loads.stream(join(folder, 'stream.sock'));
    if (lab) loadHosts(lab, loads);
    const cables = lab ? [cableOf(lab, 'h5', 'p5'), cableOf(lab, 'h6', 'p6')] : [];
    return work({ heddle, loads, folder, transient, cables, prefix: lab?.lab.name });
  });
}

function withoutRights(folder: string): PortSpec[] {
  const read = join(folder, 'read.pcap');
  const writer = CaptureWriter.create(read, ['frames']);
  for (let i = 0; i < 100; i++) {
    const frame = Buffer.from(
      udp({ ethSrc: `0200000001${(16 + (i % 8)).toString(16)}`, nwDst: `10.9.${i}.2` }),
      'hex',
    );
    writer.write(0, 1e12 + 10 * i, frame, 0, frame.length);
  }
  writer.close();
  return [
    { name: 'x1', options: { type: 'traffic', number: 11, thread: 2, peers: ['t1'], ...traffic(50) } },
    { name: 'x2', options: { type: 'traffic', number: 12, thread: 1, peers: ['t1'], ...traffic(50) } },
    { name: 'stream', options: { type: 'stream', number: 13, listen: join(folder, 'stream.sock') } },
    { name: 'reading', options: { type: 'capture', number: 14, read, loop: true } },
  ];
}

function ofHosts(lab: TestLab): PortSpec[] {
  const at = (n: number) => lab.host(`h${n}`).port;
  const tap = {
    type: 'tap',
    number: 25,
    device: `${lab.lab.name}tap`,
    namespace: lab.host('h5').namespace,
    addresses: ['10.1.2.5/24'],
  };
  return [
    { name: 'p1', options: { type: 'packet', number: 21, interface: at(1), thread: 1 } },
    { name: 'p2', options: { type: 'packet', number: 22, interface: at(2), thread: 2 } },
    { name: 'p3', options: { type: 'afxdp', number: 23, interface: at(3), thread: 1 } },
    { name: 'p4', options: { type: 'afxdp', number: 24, interface: at(4), thread: 2 } },
    { name: 'tap', options: tap },
  ];
}

function cabled(lab: TestLab): PortSpec[] {
  return [
    { name: 'p5', options: { type: 'packet', number: 26, interface: lab.host('h5').port, wait: true } },
    { name: 'p6', options: { type: 'afxdp', number: 27, interface: lab.host('h6').port, wait: true } },
  ];
}

function loadHosts(lab: TestLab, loads: Loads): void {
  const keep = (name: string, mostMs: number, program: string, ...args: string[]) =>
    loads.keep(() => lab.host(name).spawn(program, args, QUIET), mostMs);
  for (const host of ['h2', 'h4']) keep(host, 6000, 'iperf3', '-s', '-1');
  keep('h1', 5000, 'iperf3', '-c', '10.1.1.2', '-b', '200M', '-t', '3');
  keep('h3', 5000, 'iperf3', '-c', '10.1.1.4', '-u', '-b', '10M', '-l', '200', '-t', '3');
  for (const [from, to] of [
    ['h4', '10.1.1.3'],
    ['h5', '10.1.1.6'],
    ['h5', '10.1.2.1'],
    ['h6', '10.1.1.1'],
  ] as const)
    keep(from, 60_000, 'ping', '-n', '-q', '-i', '0.02', to);
}

/** Pulls a host's cable out, and puts one in again. */
function cableOf(lab: TestLab, name: string, port: string): Cable {
  const { namespace, port: device }: LabHost = lab.host(name);
  const { address, mac, offload } = lab.lab.hosts[name]!;
  return {
    port,
    cut: () => command(['ip', 'link', 'delete', device]).then(() => {}),
    async mend() {
      const far = ['peer', 'name', 'eth0', 'address', mac!, 'netns', namespace];
      await command(['ip', 'link', 'add', device, 'type', 'veth', ...far]);
      for (const one of address) await command(['ip', '-n', namespace, 'address', 'add', one, 'dev', 'eth0']);
      await command(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
      const inside = ['ip', 'netns', 'exec', namespace];
      if (!offload)
        await attempt([...inside, 'ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gso', 'off']);
      await command(['ip', 'link', 'set', device, 'up']);
    },
  };
}
