/**
 * Capture files laid out by hand, for both byte orders and for everything that the writer does not write,
 * and the helpers that show what a reader makes of a file.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CaptureError, CaptureReader } from '../../src/port/capture/reader.ts';

/** A frame as tests write it down; equal to what `readAll` shows of it. */
export interface Shown {
  interfaceIndex: number;
  timeMs: number;
  originalLength: number;
  hex: string;
}

export interface Read {
  format?: string;
  interfaces: { name: string; linkType: number; snapLength: number }[];
  frames: Shown[];
  /** Whether `next` said that the file is at its end. */
  ended: boolean;
  error?: CaptureError;
}

/** A place for files that goes away with the test. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'heddle-capture-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Writes `bytes` over the file and reads it as a capture. */
export function readBytes(path: string, bytes: Uint8Array): Read {
  writeFileSync(path, bytes);
  return readAll(path);
}

/** Reads a capture to its end or to its first CaptureError; other errors pass through. */
export function readAll(path: string): Read {
  const read: Read = { interfaces: [], frames: [], ended: false };
  let capture: CaptureReader | undefined;
  try {
    capture = CaptureReader.open(path);
    read.format = capture.format;
    while (capture.next()) read.frames.push(show(capture));
    read.ended = true;
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    read.error = error;
  } finally {
    for (const { name, linkType, snapLength } of capture?.interfaces ?? [])
      read.interfaces.push({ name, linkType, snapLength });
    capture?.close();
  }
  return read;
}

function show({ interfaceIndex, timeMs, originalLength, buffer, offset, length }: CaptureReader): Shown {
  if (offset + length > buffer.length) throw new Error(`frame of ${length} at ${offset} leaves the buffer`);
  const hex = Buffer.from(buffer.buffer as ArrayBuffer, buffer.byteOffset + offset, length).toString('hex');
  return { interfaceIndex, timeMs, originalLength, hex };
}

/** Bytes in one byte order: `[2, 4]` is the number 4 in two bytes, hex stands as it is. */
export type Part = readonly [bytes: 1 | 2 | 4 | 8, value: number | bigint] | string | Uint8Array;

export function lay(little: boolean, parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part, 'hex');
      if (part instanceof Uint8Array) return part;
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(part[1])));
      const value = bytes.subarray(8 - part[0]);
      return little ? value.reverse() : value;
    }),
  );
}

export interface PcapFile {
  little: boolean;
  magic?: number;
  version?: [number, number];
  linkType?: number;
  snapLength?: number;
}

export function pcapHeader(file: PcapFile): Buffer {
  const [major, minor] = file.version ?? [2, 4];
  return lay(file.little, [
    [4, file.magic ?? 0xa1b2c3d4],
    [2, major],
    [2, minor],
    [8, 0],
    [4, file.snapLength ?? 262_144],
    [4, file.linkType ?? 1],
  ]);
}

export function pcapRecord(
  little: boolean,
  seconds: number,
  fraction: number,
  hex: string,
  original = hex.length / 2,
): Buffer {
  return lay(little, [[4, seconds], [4, fraction], [4, hex.length / 2], [4, original], hex]);
}

/** A pcapng block around a body, which is padded. */
export function block(little: boolean, type: number, parts: readonly Part[]): Buffer {
  const body = pad(lay(little, parts));
  const length = body.length + 12;
  return lay(little, [[4, type], [4, length], body, [4, length]]);
}

export function section(little: boolean, version = 1): Buffer {
  return block(little, 0x0a0d0d0a, [
    [4, 0x1a2b3c4d],
    [2, version],
    [2, 0],
    [8, -1],
  ]);
}

export function option(little: boolean, code: number, parts: readonly Part[]): Buffer {
  const value = lay(little, parts);
  return lay(little, [[2, code], [2, value.length], pad(value)]);
}

export interface InterfaceBlock {
  linkType?: number;
  snapLength?: number;
  name?: string;
  tsresol?: number;
  tsoffset?: number;
}

export function interfaceBlock(little: boolean, description: InterfaceBlock = {}): Buffer {
  const { linkType = 1, snapLength = 0, name, tsresol, tsoffset } = description;
  const options: Part[] = [option(little, 1, [Buffer.from('a comment')])];
  if (name !== undefined) options.push(option(little, 2, [Buffer.from(name)]));
  if (tsresol !== undefined) options.push(option(little, 9, [[1, tsresol]]));
  if (tsoffset !== undefined) options.push(option(little, 14, [[8, tsoffset]]));
  options.push(option(little, 0, []));
  return block(little, 1, [[2, linkType], [2, 0], [4, snapLength], ...options]);
}

export function enhancedPacket(
  little: boolean,
  id: number,
  ticks: bigint,
  hex: string,
  original = hex.length / 2,
): Buffer {
  const captured = hex.length / 2;
  const flags = option(little, 2, [[4, 1]]);
  const stamp: Part[] = [
    [4, ticks >> 32n],
    [4, ticks],
  ];
  return block(little, 6, [[4, id], ...stamp, [4, captured], [4, original], pad(lay(little, [hex])), flags]);
}

export function oldPacket(little: boolean, id: number, drops: number, ticks: bigint, hex: string): Buffer {
  const captured = hex.length / 2;
  const stamp: Part[] = [
    [4, ticks >> 32n],
    [4, ticks],
  ];
  return block(little, 2, [[2, id], [2, drops], ...stamp, [4, captured], [4, captured], hex]);
}

export function simplePacket(little: boolean, hex: string, original = hex.length / 2): Buffer {
  return block(little, 3, [[4, original], hex]);
}

function pad(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, new Uint8Array(-bytes.length & 3)]);
}
