/**
 * Where control sockets stand: in a folder of the user's own, named after the switch: NAME.sock, NAME-2.sock, …
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** The name of the switch whose socket is at `path`. */
export function nameOf(path: string): string {
  return basename(path, '.sock');
}

/** Where default sockets may be, best first. */
export function places(): string[] {
  const uid = process.getuid!();
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    ...(runtime ? [join(runtime, 'heddle')] : []),
    ...(uid === 0 ? ['/run/heddle'] : []),
    join(tmpdir(), `heddle-${uid}`),
  ];
}

/** The first of the places that can be had; made when it is missing. */
export function ownFolder(): string {
  const folder = places().find(
    (place) => lstatSync(dirname(place), { throwIfNoEntry: false }) !== undefined,
  )!;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOwn(folder))
    throw new Error(`${folder}: found a folder that others may write, expected one of yours alone`);
  return folder;
}

/** Nobody else can have put a socket there. */
export function isOwn(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.getuid!() && (stat.mode & 0o022) === 0;
}
