/**
 * A lab for one test: names that no other test process uses, and everything gone afterwards, also when the
 * test failed or ran out of time.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { attempt, type CommandOptions, end, lacking, type Outcome } from '../../src/lab/command.ts';
import type { Host, Lab } from '../../src/lab/file.ts';
import { enter, labDown, labSpawn, labUp, namespaceOf } from '../../src/lab/lab.ts';
import type { Ending } from './ending.ts';

/** What a test says of a host; its port gets a name of its own. */
export type TestHost = { address: string | string[] } & Partial<Omit<Host, 'address' | 'port'>>;

/** A host of a test's lab. */
export interface LabHost {
  readonly namespace: string;
  /** The switch's end of the host's cable, in the root namespace. */
  readonly port: string;
  /** Runs a program to its end, whatever its exit code; killed after `timeoutMs`, by default 10 s. */
  run(program: string, args?: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Starts a program; it is ended with the test at the latest. */
  spawn(program: string, args?: readonly string[], options?: SpawnOptions): ChildProcess;
}

export interface TestLab {
  readonly lab: Lab;
  host(name: string): LabHost;
}

/** `skip` for node:test: why the test cannot run here, or false. */
export function rootTools(...tools: string[]): string | false {
  return lacking(...tools) ?? false;
}

let labs = 0;

/** Brings hosts up, runs `work` with them, and takes everything down. */
export async function withLab<T>(
  t: Ending,
  hosts: Record<string, TestHost>,
  work: (lab: TestLab) => Promise<T>,
): Promise<T> {
  const name = `t${process.pid.toString(36)}${(labs++).toString(36)}`; // a port's name has 15 characters
  const lab: Lab = { name, hosts: {} };
  for (const [host, { address, ...rest }] of Object.entries(hosts))
    lab.hosts[host] = { offload: true, ...rest, port: `${name}${host}`, address: [address].flat() };

  const children: ChildProcess[] = [];
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= Promise.all(children.map((child) => end(child))).then(() => labDown(lab));
    return closing;
  };
  t.after(close); // reached as well when the test runs out of time
  await labUp(lab);
  try {
    return await work({
      lab,
      host: (host) => ({
        namespace: namespaceOf(lab, host),
        port: lab.hosts[host].port,
        run: (program, args = [], options) =>
          attempt(enter(lab, host, [program, ...args]), { timeoutMs: 10_000, ...options }),
        spawn(program, args = [], options) {
          const child = labSpawn(lab, host, [program, ...args], options);
          children.push(child);
          return child;
        },
      }),
    });
  } finally {
    await close();
  }
}
