/** One frame of a capture. */
import { MAX_LENGTH } from '../datapath.ts';
import { plural } from '../plural.ts';
import { CaptureReader } from '../port/capture/reader.ts';

/**
 * Frame `number`, from 1, at its length on the wire, with zeros for what the capture left out, lest its headers seem
 * wrong. Throws CaptureError when the capture cannot be read so far.
 */
export function frameOf(path: string, number: number): Uint8Array {
  const reader = CaptureReader.open(path);
  try {
    while (reader.next()) if (reader.frame === number) return copyOf(reader);
    throw new Error(`${path}: found ${plural(reader.frame, 'frame')}, expected a frame ${number}`);
  } finally {
    reader.close();
  }
}

function copyOf({ buffer, offset, length, originalLength }: CaptureReader): Uint8Array {
  const bytes = new Uint8Array(Math.min(Math.max(length, originalLength), MAX_LENGTH));
  bytes.set(buffer.subarray(offset, offset + Math.min(length, bytes.length)));
  return bytes;
}
