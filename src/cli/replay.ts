/** `heddle replay`: what a configuration would do to a capture. */
import { statSync } from 'node:fs';
import { Command } from 'commander';
import { type Config, loadConfig } from '../control/config.ts';
import { CaptureError, Replay } from '../control/replay.ts';
import { Progress } from '../view/progress.ts';
import { type ReplaySummary, replayText } from '../view/replay.ts';
import { print } from './stdout.ts';
import { statCapture, UsageError } from './usage.ts';

interface ReplayArguments {
  config: string;
  port?: string;
  write?: string;
  json?: boolean;
}

/** Frames between two looks at the progress. */
const SLICE = 4096;

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Replays CAPTURE through the switch that CONFIG describes, as fast as it goes, and tells what became ' +
        'of the packets. No port is opened. Frames of a pcapng interface named like a port come in there.',
    )
    .argument('<capture>', 'pcap or pcapng')
    .requiredOption('--config <config>', 'configuration, in YAML')
    .option('--port <name>', 'where all other frames come in (default: the first port)')
    .option('--write <out>', 'write what is sent to the ports: .pcap, or pcapng with an interface a port')
    .option('--json', 'print only the summary, as one JSON object')
    .action(replay);
}

async function replay(capture: string, options: ReplayArguments): Promise<void> {
  const config = loadConfig(options.config);
  const port = portNumber(config, options.port);
  checkFiles(capture, options.write);
  const replay = new Replay(config, capture, { port, write: options.write });
  const startedMs = performance.now();
  const failure = run(replay);
  const summary = summarise(replay, capture, performance.now() - startedMs, failure);
  await print(...(options.json ? [JSON.stringify(summary)] : replayText(summary)));
  if (failure) throw failure;
}

function portNumber({ ports }: Config, name: string | undefined): number {
  const port = name === undefined ? ports[0]! : ports.find((port) => port.name === name);
  if (port) return port.number;
  const names = ports.map((port) => port.name).join(', ');
  throw new UsageError(`--port: found "${name}", expected one of ${names}`);
}

/** Nothing is created or emptied before the capture is known to be there and to be another file. */
function checkFiles(capture: string, write: string | undefined): void {
  const read = statCapture(capture);
  const written = write === undefined ? undefined : statSync(write, { throwIfNoEntry: false });
  if (written?.isFile() && written.dev === read.dev && written.ino === read.ino) {
    throw new UsageError(`--write: found ${write}, which is CAPTURE; expected another file`);
  }
}

/** Runs to the end, and returns what was wrong with a capture that has none. */
function run(replay: Replay): Error | undefined {
  const progress = new Progress('replay', replay.sizeBytes);
  const unreadable = failureOf(() => {
    while (replay.run(SLICE)) progress.update(replay.bytesRead, replay.frames);
  });
  progress.stop();
  const unwritable = failureOf(() => replay.close());
  return unreadable ?? unwritable;
}

/** RangeError: a time that OUT cannot hold, such as damage to a capture makes. */
function failureOf(act: () => void): Error | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof CaptureError || error instanceof RangeError) return error;
    throw error;
  }
}

function summarise(
  replay: Replay,
  capture: string,
  elapsedMs: number,
  failure: Error | undefined,
): ReplaySummary {
  return {
    ...replay.summary(),
    capture,
    frames: replay.frames,
    elapsedMs: Math.round(elapsedMs),
    packetsPerSecond: Math.round((replay.frames / elapsedMs) * 1000),
    flows: replay.flows(),
    ...(failure && { error: failure.message }),
  };
}
