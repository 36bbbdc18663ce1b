/**
 * Says which moves of flows were refused (datapath/flow/life.ts): each is a fault of the switch, so its log has who tried
 * what and where. There may be many, so only some are told of, and then how many more there were.
 */
import { type Arena, Lives, PLACE_NAMES, type RefusedMove, STATE_NAMES } from '../datapath.ts';
import { plural } from '../plural.ts';

const LOOK_EVERY_MS = 1000;
const MOST_A_LOOK = 3;

export class Refusals {
  readonly #lives: Lives;
  readonly #log: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #told: number;

  /** Looks now and then from now on. */
  constructor(arena: Arena, log: (line: string) => void) {
    this.#lives = new Lives(arena);
    this.#log = log;
    this.#told = this.#lives.refused;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  /** Tells of what was refused since the last look. */
  look(): void {
    const news = this.#lives.refused - this.#told;
    const moves = this.#lives.refusedSince(this.#told).slice(0, Math.min(news, MOST_A_LOOK));
    this.#told += news;
    for (const move of moves) this.#log(refusalLine(move));
    const rest = news - MOST_A_LOOK;
    if (rest > 0) this.#log(`${plural(rest, 'more move')} of flows refused`);
  }

  /** The last look. */
  end(): void {
    clearInterval(this.#timer);
    this.look();
  }
}

export function refusalLine({ flow, from, to, thread, place, byThread, byPlace }: RefusedMove): string {
  const [is, wanted] = [nameOf(STATE_NAMES, from), nameOf(STATE_NAMES, to)];
  const who = (number: number, where: number) => `by thread ${number + 1} in ${nameOf(PLACE_NAMES, where)}`;
  return `flow ${flow}: refused ${is} → ${wanted} ${who(byThread, byPlace)}; last moved to ${is} ${who(thread, place)}`;
}

/** What a thread that died left half written may be no name's number. */
const nameOf = (names: readonly string[], number: number): string => names[number] ?? String(number);
