/** The one error of this folder: which file, which frame, which byte, what was found, what was expected. */

/** A capture that cannot be read or written on. Its message names everything that its fields carry. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly path: string;
  /** Number from 1 of the frame that failed; 0 where the file's opening lines failed. */
  readonly frame: number;
  /** Byte offset in the file of the header, record or block that failed. */
  readonly offset: number;

  constructor(path: string, frame: number, offset: number, what: string, options?: ErrorOptions) {
    super(`${path}: ${frame > 0 ? `frame ${frame} ` : ''}at byte ${offset}: ${what}`, options);
    this.path = path;
    this.frame = frame;
    this.offset = offset;
  }
}
