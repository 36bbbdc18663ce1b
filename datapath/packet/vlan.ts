/** VLAN tags (IEEE 802.1Q): pushed into the headroom and popped out of it; only the MAC addresses move. */
import { FRAME_PARTIAL, Frame } from './frame';
import { ETH_HEADER, putBe32, TYPE_SVLAN, TYPE_VLAN, VLAN_TAG } from './headers';

const ADDRESSES: u32 = 12;

/** Puts a tag in front of the EtherType; false when there is no headroom. `tag` is TPID << 16 | TCI. */
export function pushVlan(frame: Frame, tag: u32): bool {
  if (frame.data - frame.base < VLAN_TAG) return false;
  const data = frame.data - VLAN_TAG;
  memory.copy(data, frame.data, ADDRESSES);
  putBe32(data + ADDRESSES, tag);
  shift(frame, data, frame.length + VLAN_TAG);
  return true;
}

/** Whether the frame has a tag. */
export function isTagged(frame: Frame): bool {
  if (frame.length < ETH_HEADER + VLAN_TAG) return false;
  const type = load<u16>(frame.data + ADDRESSES);
  return type == TYPE_VLAN || type == TYPE_SVLAN;
}

/** Takes the outer tag off; nothing when there is none. */
export function popVlan(frame: Frame): void {
  if (!isTagged(frame)) return;
  const data = frame.data + VLAN_TAG;
  memory.copy(data, frame.data, ADDRESSES);
  shift(frame, data, frame.length - VLAN_TAG);
}

/** Moves the frame's beginning, and what is told from there. */
function shift(frame: Frame, data: usize, length: u32): void {
  const by = <u16>(frame.data - data);
  frame.data = data;
  frame.length = length;
  if (frame.l3 != 0) frame.l3 += by;
  if (frame.l4 != 0) frame.l4 += by;
  if (frame.flags & FRAME_PARTIAL) frame.checksumStart += by;
}
