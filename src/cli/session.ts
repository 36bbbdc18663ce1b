/**
 * A switch in the foreground, from the `ready` line to the summary.
 *
 * Standard error has the `ready` line. Standard output has the live view (redrawn on a terminal, else one
 * line a second) and the summary; with `json`, nothing but the summary as one JSON object. It ends after
 * `duration` seconds, at SIGINT or SIGTERM, or when nobody reads the output any more; a second SIGINT does
 * not wait for the queues to drain.
 */

import type { Config } from '../control/config.ts';
import { type ControlServer, openControl } from '../control/socket.ts';
import type { Summary, SwitchControl } from '../model.ts';
import { plural } from '../plural.ts';
import { liveLine, liveView } from '../view/live.ts';
import { Screen } from '../view/screen.ts';
import { summaryText } from '../view/summary.ts';
import { print, stdoutClosed } from './stdout.ts';

export interface Session {
  /** Seconds; undefined: until it is stopped. */
  duration?: number;
  json?: boolean;
}

const VIEW_EVERY_MS = 1000;
/** 128 + SIGINT, as shells report it. */
const INTERRUPTED = 130;

/** Runs `control`, which is forwarding, to its end. */
export async function runInForeground(
  config: Config,
  control: SwitchControl,
  session: Session,
): Promise<void> {
  let socket: ControlServer | undefined;
  let view: NodeJS.Timeout | undefined;
  try {
    socket = await openControl(config, control);
    // With an inline switch the duration is on its own clock, and it tells when that has passed.
    const ended = untilEnd(control.finished, config.threads === 'inline' ? undefined : session.duration);
    console.error(`heddle: ${readyLine(config, socket)}`);
    if (!session.json) view = startView(control);
    await ended;
  } finally {
    clearInterval(view);
    await socket?.close();
    await control.stop();
  }
  const summary = control.summary();
  if (session.json) await print(JSON.stringify(summary));
  else await print('', ...summaryText(summary));
}

function untilEnd(finished: Promise<void>, duration: number | undefined): Promise<unknown> {
  const signalled = new Promise<void>((resolve) => {
    let interrupts = 0;
    process.on('SIGINT', () => {
      if (++interrupts > 1) process.exit(INTERRUPTED);
      resolve();
    });
    process.on('SIGTERM', resolve);
  });
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    // Keeps the process alive even when nothing else would.
    timer = duration === undefined ? setInterval(() => {}, 1 << 30) : setTimeout(resolve, duration * 1000);
  });
  return Promise.race([finished, signalled, elapsed, stdoutClosed]).finally(() => clearTimeout(timer));
}

function readyLine({ name, ports, threads }: Config, socket: ControlServer | undefined): string {
  const roles = threads === 'inline' ? 'threads inline' : plural(threads.datapath, 'datapath thread');
  const where = socket ? `control socket ${socket.path}` : 'no control socket';
  return `${name} ready: ${plural(ports.length, 'port')}, ${roles}, ${where}`;
}

function startView(control: SwitchControl): NodeJS.Timeout {
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  let before: Summary = control.summary();
  return setInterval(() => {
    const now = control.summary();
    if (screen) screen.draw(liveView(before, now));
    // A reader that is slow misses lines; they are not kept for it.
    else if (!process.stdout.writableNeedDrain) void print(liveLine(before, now));
    before = now;
  }, VIEW_EVERY_MS);
}
