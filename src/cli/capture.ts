/**
 * `heddle capture`: what a port of a running switch receives and sends, as a pcapng file or stream.
 *
 * The switch writes to a pipe of ours as fast as we read, and drops, at the port that it has for us, what we are
 * too slow for. So the file is ours, no frame more than asked for gets into it, and a slow reader of standard
 * output costs the switch nothing.
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, createWriteStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { Command, InvalidArgumentError } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { plural } from '../plural.ts';
import { stdoutClosed } from './stdout.ts';
import { findTarget } from './target.ts';
import { seconds, type Target, UsageError, withTarget } from './usage.ts';

interface CaptureArguments extends Target {
  write: string;
  count?: number;
  duration?: number;
}

export function captureCommand(): Command {
  const command = new Command('capture')
    .description('Writes what PORT of a running switch receives and sends, until Ctrl-C.')
    .argument('<port>', 'its name')
    .requiredOption('--write <file>', 'pcapng; - is standard output, as for "| tcpdump -r -"')
    .option('--count <frames>', 'stop after so many frames', frames)
    .option('--duration <seconds>', 'stop after so many seconds', seconds);
  return withTarget(command).action(capture);
}

function frames(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number of frames, at least 1.');
}

async function capture(port: string, options: CaptureArguments): Promise<void> {
  const { write, count = Number.POSITIVE_INFINITY, duration } = options;
  if (write.endsWith('.pcap')) throw new UsageError(`--write: found ${write}, expected a name for pcapng`);
  const path = await findTarget(options);
  const name = `capture-${process.pid}`;
  const output = write === '-' ? process.stdout : await createFile(write);
  const folder = mkdtempSync(join(tmpdir(), 'heddle-capture-'));
  let written = 0;
  try {
    const pipe = join(folder, 'frames');
    const reader = openPipe(pipe);
    const end = untilEnd(duration);
    try {
      await askSwitch(path, { command: 'capture', name, port, file: pipe });
    } catch (error) {
      closeSync(reader);
      throw error;
    }
    const blocks = new Blocks(new Socket({ fd: reader, readable: true, writable: false }));
    const copied = blocks.copy(output, count);
    console.error(`heddle: capturing at port ${port}`);
    const isGone = await Promise.race([copied.then(() => blocks.hasEnded), end.then(() => false)]);
    if (!isGone) await askSwitch(path, { command: 'port', action: 'remove', name });
    written = await copied;
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (output !== process.stdout) {
    output.end();
    await once(output, 'close');
  }
  console.error(`heddle: ${plural(written, 'frame')} captured`);
}

async function createFile(path: string): Promise<Writable> {
  const file = createWriteStream(path);
  await once(file, 'open');
  return file;
}

/** Makes a named pipe at `path`. Returns a descriptor to read from once somebody writes. */
function openPipe(path: string): number {
  execFileSync('mkfifo', ['-m', '600', path]);
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

function untilEnd(duration: number | undefined): Promise<unknown> {
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, resolve);
  });
  if (duration === undefined) return Promise.race([signalled, stdoutClosed]);
  const elapsed = new Promise((resolve) => setTimeout(resolve, duration * 1000).unref());
  return Promise.race([signalled, stdoutClosed, elapsed]);
}

/** pcapng §3.1: blocks begin with a type and their length, 32 bits each. §4.3: the type of one with a frame. */
const HEAD_BYTES = 8;
const ENHANCED_PACKET = 6;

/** The blocks of a pcapng stream, as the switch writes it. */
class Blocks {
  /** Nothing more will come: the switch has closed its end. */
  hasEnded = false;
  readonly #source: Socket;

  constructor(source: Socket) {
    this.#source = source;
    source.once('end', () => {
      this.hasEnded = true;
    });
  }

  /**
   * Copies whole blocks until the stream ends; of those with a frame, the first `count`. Returns, as soon as
   * there have been so many, how many there were; what comes after is read and forgotten.
   */
  async copy(output: Writable, count: number): Promise<number> {
    let frames = 0;
    let held = Buffer.alloc(0);
    for await (const chunk of this.#source.iterator({ destroyOnReturn: false })) {
      held = Buffer.concat([held, chunk]);
      let end = 0;
      while (frames < count && held.length - end >= HEAD_BYTES) {
        const bytes = held.readUInt32LE(end + 4);
        if (held.length - end < bytes) break;
        if (held.readUInt32LE(end) === ENHANCED_PACKET) frames++;
        end += bytes;
      }
      if (end > 0 && !output.destroyed && !output.write(held.subarray(0, end))) {
        await Promise.race([once(output, 'drain'), stdoutClosed]);
      }
      held = held.subarray(end);
      if (frames === count) break;
    }
    this.#source.resume();
    return frames;
  }
}
