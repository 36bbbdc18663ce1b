/** Lives of flows: two handlers install the same flow, twice each, while its packets come; one flow is there. */
import { checkLives, installFor, packetFor, setUpLives } from '../explore-lives';
import { NONE } from '../memory/arena';

export function setUp(): void {
  setUpLives(2, 1);
}

function handle(): void {
  const number = installFor(1);
  assert(number != NONE, 'a flow was not installed, and none was there');
  assert(installFor(1) == number, 'a flow is there twice');
}

export function thread0(): void {
  handle();
}

export function thread1(): void {
  handle();
}

export function thread2(): void {
  packetFor(1);
}

export function check(): void {
  checkLives();
  assert(packetFor(1), 'the flow is not there in the end');
}
