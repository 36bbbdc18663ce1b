/** Cuts a frame short, for a port or a controller that wants its beginning only. */
import { FRAME_PARTIAL, Frame, SEGMENT_NONE } from '../packet/frame';
import { ETH_HEADER } from '../packet/headers';
import { completeChecksum } from '../packet/segment';

/**
 * Leaves the first `bytes` of the frame, and its Ethernet header in any case. What is left is one packet as it
 * stands, whose headers may be cut and are no longer known. Its checksums are those of the whole.
 */
export function truncate(frame: Frame, bytes: u32): void {
  const length = max<u32>(bytes, ETH_HEADER);
  if (length >= frame.length) return;
  if (frame.flags & FRAME_PARTIAL) completeChecksum(frame);
  frame.length = length;
  frame.l3 = 0;
  frame.l4 = 0;
  frame.segmentType = SEGMENT_NONE;
  frame.segmentSize = 0;
}
