/** Order: packets of a flow that begins; the thread that has them sends them itself. */
import { checkOrder, handle, receiveAll, setUpOrder } from '../explore-order';
import { isEmpty, ringBetween } from '../memory/ring';
import { collect } from '../transmit';

const SENDER: u32 = 0;
const HANDLER: u32 = 1;
const PACKETS: u32 = 3;

export function setUp(): void {
  setUpOrder(HANDLER, PACKETS);
}

export function thread0(): void {
  receiveAll(PACKETS, SENDER);
  if (!isEmpty(ringBetween(HANDLER, SENDER))) collect();
}

export function thread1(): void {
  handle(HANDLER, SENDER);
}

export function check(): void {
  checkOrder(PACKETS, SENDER);
}
