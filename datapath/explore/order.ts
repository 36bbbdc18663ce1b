/** Order: packets of a flow that begins; a thread that sends for others gets them from two. */
import { checkOrder, handle, receiveAll, setUpOrder } from '../explore-order';
import { isEmpty, ringBetween } from '../memory/ring';
import { collect } from '../transmit';

const SENDER: u32 = 1;
const HANDLER: u32 = 2;
const PACKETS: u32 = 3;

export function setUp(): void {
  setUpOrder(HANDLER, PACKETS);
}

export function thread0(): void {
  receiveAll(PACKETS, SENDER);
}

export function thread1(): void {
  let n = collect();
  while (n < PACKETS) {
    while (isEmpty(ringBetween(0, SENDER)) && isEmpty(ringBetween(HANDLER, SENDER)));
    n += collect();
  }
}

export function thread2(): void {
  handle(HANDLER, SENDER);
}

export function check(): void {
  checkOrder(PACKETS, SENDER);
}
