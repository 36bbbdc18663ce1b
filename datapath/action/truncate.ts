/** Cuts a frame short, for a port or a controller that wants its beginning only. */
import { CHECKSUM_PARTIAL, CHECKSUM_UNKNOWN, Frame, forgetHeaders, SEGMENT_NONE } from '../packet/frame';
import { ETH_HEADER } from '../packet/headers';
import { completeChecksum } from '../packet/transport-checksum';

/**
 * Leaves the first `bytes` of the frame, and its Ethernet header in any case. What is left is one packet as it
 * stands, whose headers may be cut and are no longer known. Its checksums are those of the whole.
 */
export function truncate(frame: Frame, bytes: u32): void {
  const length = max<u32>(bytes, ETH_HEADER);
  if (length >= frame.length) return;
  if (frame.checksum == CHECKSUM_PARTIAL) completeChecksum(frame);
  frame.checksum = CHECKSUM_UNKNOWN;
  frame.length = length;
  frame.segmentType = SEGMENT_NONE;
  frame.segmentSize = 0;
  forgetHeaders(frame);
}
