/**
 * What every system is measured between: two hosts, `sender` and `receiver`, each a network namespace whose
 * cable ends in a port out here. It is built anew for every system and every round, so that nothing that one
 * system left behind (TIME_WAIT, learned addresses, queues) meets the next.
 *
 * A third address, DECOY, is the receiver's by IP but not by MAC. Frames for it are forwarded to the receiver,
 * counted by its interface and dropped first thing as somebody else's: the cheapest sink that needs no tool.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { type CommandOptions, command } from '../../src/lab/command.ts';
import type { Lab } from '../../src/lab/file.ts';
import { DEVICE, enter, labDown, labSpawn, labUp, namespaceOf } from '../../src/lab/lab.ts';

export type End = 'sender' | 'receiver';

export const ADDRESS = { sender: '10.77.0.1', receiver: '10.77.0.2', decoy: '10.77.0.3' };
const MAC = { sender: '02:00:00:00:77:01', receiver: '02:00:00:00:77:02', decoy: '02:00:00:00:77:03' };

export interface Topology {
  /** A short name that no other topology has, for what a system makes. */
  readonly name: string;
  /** The interfaces out here that a system joins. */
  readonly ports: { readonly sender: string; readonly receiver: string };
  /** Runs a program in a host; anything but exit code 0 is an error that quotes it. */
  run(end: End, argv: string[], options?: CommandOptions): Promise<string>;
  /** Starts a program in a host; whoever starts it ends it. */
  spawn(end: End, argv: string[], options?: SpawnOptions): ChildProcess;
  /** Takes the hosts away. */
  down(): Promise<void>;
}

let built = 0;

/** Which ends of each cable leave checksums and segmentation to others: both, none, or the switch's. */
export type Offload = boolean | 'port';

/**
 * Brings both hosts up. `offload`: which interfaces may leave checksums and segmentation to others;
 * `direct`: one cable joins the hosts and there are no ports. `signal` ends whatever runs in the hosts.
 */
export async function buildTopology(
  offload: Offload,
  direct: boolean,
  signal: AbortSignal,
): Promise<Topology> {
  const name = `b${process.pid.toString(36)}${(built++).toString(36)}`;
  const ports = { sender: `${name}s`, receiver: `${name}r` };
  const address = {
    sender: [`${ADDRESS.sender}/24`],
    receiver: [`${ADDRESS.receiver}/24`, `${ADDRESS.decoy}/24`],
  };
  const host = (end: End) => ({ port: ports[end], mac: MAC[end], offload, address: address[end] });
  const lab: Lab = { name, hosts: { sender: host('sender'), receiver: host('receiver') } };
  const run = (end: End, argv: string[], options?: CommandOptions) =>
    command(enter(lab, end, argv), { signal, ...options });

  await labUp(lab);
  try {
    if (direct) await joinDirectly(lab);
  } catch (error) {
    await labDown(lab);
    throw error;
  }
  return {
    name,
    ports,
    run,
    spawn: (end, argv, options) => labSpawn(lab, end, argv, options),
    down: () => labDown(lab),
  };
}

/** Puts the far end of the sender's cable into the receiver, in the place of its own. */
async function joinDirectly(lab: Lab): Promise<void> {
  const { mac, address } = lab.hosts.receiver;
  const receiver = namespaceOf(lab, 'receiver');
  await command(['ip', '-n', receiver, 'link', 'delete', DEVICE]);
  await command(['ip', 'link', 'set', lab.hosts.sender.port, 'netns', receiver, 'name', DEVICE]);
  await command(['ip', '-n', receiver, 'link', 'set', DEVICE, 'address', mac!, 'up']);
  for (const one of address) await command(['ip', '-n', receiver, 'address', 'add', one, 'dev', DEVICE]);
}

/** Waits until the hosts reach each other; throws when they do not within a few seconds. */
export function awaitTraffic(topology: Topology): Promise<void> {
  return answered(topology, 'sender', ADDRESS.receiver);
}

/** Makes the switch learn where the decoy lives, and the sender know it for good. */
export async function plantDecoy(topology: Topology): Promise<void> {
  const rename = (mac: string) => topology.run('receiver', ['ip', 'link', 'set', DEVICE, 'address', mac]);
  await rename(MAC.decoy);
  await answered(topology, 'receiver', '-I', ADDRESS.decoy, ADDRESS.sender);
  await rename(MAC.receiver);
  const neighbour = [
    'neighbour',
    'replace',
    ADDRESS.decoy,
    'lladdr',
    MAC.decoy,
    'dev',
    DEVICE,
    'nud',
    'permanent',
  ];
  await topology.run('sender', ['ip', ...neighbour]);
}

/** One ping, repeated until it is answered. */
async function answered(topology: Topology, from: End, ...target: string[]): Promise<void> {
  await topology.run(from, ['ping', '-n', '-c', '1', '-w', '5', ...target]).catch(() => {
    throw new Error('no traffic passes: no ping was answered within 5 s');
  });
}
