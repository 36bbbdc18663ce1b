/** What hosts of a test's lab do to each other, and what must come of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { complaint } from '../../src/lab/command.ts';
import type { LabHost, TestHost } from './lab.ts';

/** A program of test/support/host, for node. */
const program = (name: string) => fileURLToPath(new URL(`./host/${name}.js`, import.meta.url));

export const PORT = 5000;

/** Hosts h1, h2, ...: hN has the addresses 10.1.1.N and fd00:1::N and the MAC address 02:00:00:00:00:0N. */
export function numbered(count: number, more: (n: number) => Partial<TestHost> = () => ({})) {
  const hosts: Record<string, TestHost> = {};
  for (let n = 1; n <= count; n++) {
    const address = [`10.1.1.${n}/24`, `fd00:1::${n}/64`];
    hosts[`h${n}`] = { address, mac: `02:00:00:00:00:0${n}`, ...more(n) };
  }
  return hosts;
}

/** The program ended with exit code 0. Returns what it printed. */
export async function succeeds(host: LabHost, ...argv: string[]): Promise<string> {
  const outcome = await host.run(argv[0]!, argv.slice(1), { timeoutMs: 30_000 });
  assert.equal(outcome.code, 0, `${argv.join(' ').slice(0, 200)}: ${complaint(outcome)}`);
  return outcome.stdout;
}

/** Every ping is answered. */
export async function pings(host: LabHost, address: string, count = 3, ...more: string[]): Promise<void> {
  await succeeds(host, 'ping', '-n', '-i', '0.05', '-c', String(count), '-W', '2', ...more, address);
}

/** No ping is answered. */
export async function noPing(host: LabHost, address: string): Promise<void> {
  const { code, stdout } = await host.run('ping', ['-n', '-i', '0.05', '-c', '3', '-W', '0.3', address]);
  assert.equal(code, 1, stdout);
}

/** Answers TCP and UDP on PORT until the test ends. */
export async function serve(host: LabHost, port = PORT): Promise<void> {
  const child = host.spawn(process.execPath, [program('transfer'), 'serve', String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data', { signal: AbortSignal.timeout(10_000) });
}

/** So many bytes arrive over TCP as they were sent. */
export async function sendsTcp(host: LabHost, address: string, bytes: number, port = PORT): Promise<void> {
  const args = ['tcp', address, String(port), String(bytes), '42'];
  const [sent, came] = (await succeeds(host, process.execPath, program('transfer'), ...args)).split(/\s/);
  assert.equal(came, sent, `SHA-256 of ${bytes} bytes to ${address}`);
}

/** No connection comes about over TCP. */
export async function noTcp(host: LabHost, address: string, port = PORT): Promise<void> {
  const args = [program('transfer'), 'tcp', address, String(port), '10', '42'];
  const { code, stdout } = await host.run(process.execPath, args, { timeoutMs: 2000 });
  assert.notEqual(code, 0, stdout);
}

/** A datagram of each size is sent back as it was. */
export async function echoesUdp(host: LabHost, address: string, sizes = [0, 1, 1472, 8000], port = PORT) {
  const args = ['udp', address, String(port), ...sizes.map(String)];
  await succeeds(host, process.execPath, program('transfer'), ...args);
}

/** Many datagrams that leave the host as one segment are sent back as they were. */
export async function echoesUdpSegments(host: LabHost, address: string): Promise<void> {
  await succeeds(host, process.execPath, program('transfer'), 'segments', address, String(PORT));
}

/** Sends frames as they are; each is hexadecimal from the Ethernet header on, spaces allowed. */
export async function sendsFrames(host: LabHost, ...frames: string[]): Promise<void> {
  const args = frames.map((hex) => hex.replaceAll(' ', ''));
  await succeeds(host, process.execPath, program('raw'), ...args);
}

/** Sends as many small packets as it can, then returns how many that were. Kinds as in host/flood.ts. */
export async function floods(
  host: LabHost,
  kind: 'udp' | 'strangers',
  address: string,
  seconds: number,
): Promise<number> {
  return Number(await succeeds(host, process.execPath, program('flood'), kind, address, String(seconds)));
}
