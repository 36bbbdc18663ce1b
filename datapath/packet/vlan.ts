/** VLAN tags (IEEE 802.1Q): pushed into the headroom and popped out of it; only the MAC addresses move. */
import { Frame, moveStart } from './frame';
import { ETH_HEADER, isTagType, putBe32, VLAN_TAG } from './headers';

const ADDRESSES: u32 = 12;

/** Puts a tag in front of the EtherType; false when there is no headroom. `tag` is TPID << 16 | TCI. */
export function pushVlan(frame: Frame, tag: u32): bool {
  if (frame.data - frame.base < VLAN_TAG) return false;
  const data = frame.data - VLAN_TAG;
  memory.copy(data, frame.data, ADDRESSES);
  putBe32(data + ADDRESSES, tag);
  moveStart(frame, data);
  return true;
}

/** Whether there is a tag in front of the EtherType at `offset`; if so, a whole one. */
function isTag(frame: Frame, offset: u32): bool {
  return offset + VLAN_TAG + 2 <= frame.length && isTagType(load<u16>(frame.data + offset));
}

/** Whether the frame has a tag. */
export function isTagged(frame: Frame): bool {
  return isTag(frame, ADDRESSES);
}

/** Offset of what comes behind the Ethernet header and all tags. */
export function behindTags(frame: Frame): u32 {
  let type = ADDRESSES;
  while (isTag(frame, type)) type += VLAN_TAG;
  return type + 2;
}

/** Takes the outer tag off; nothing when there is none. */
export function popVlan(frame: Frame): void {
  if (!isTagged(frame)) return;
  const data = frame.data + VLAN_TAG;
  memory.copy(data, frame.data, ADDRESSES);
  moveStart(frame, data);
}

/** Sets key bytes 4 and 5, the outer tag's, if there is one. The present bit is not the packet's. */
export function setVlan(frame: Frame, value: u32, mask: u32): void {
  if (!isTagged(frame)) return;
  const at = frame.data + ETH_HEADER;
  const tag = mask & 0xffef;
  store<u16>(at, <u16>((load<u16>(at) & ~tag) | (value & tag)));
}
