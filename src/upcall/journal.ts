/**
 * What a handler was told since it started, for the one that comes after it should it die: the tables are in its
 * heap and go with it.
 *
 *     [ changes, in order ] ── too many ──▶ [ a snapshot: what a handler must be told to have the same tables ]
 *
 * Only what was answered is in it, so a change during which the handler died was not made.
 * What rules have counted and where hosts were heard is not in it: both begin again.
 */
import type { RuleCommand } from '../model.ts';
import type { HandlerReply, HandlerRequest } from './request.ts';

/**
 * Requests, and of those about rules actions, that leave nothing to remember: they only look, or what they change
 * is in the arena.
 */
const LOOKS: readonly HandlerRequest['command'][] = [
  'flows',
  'megaflows',
  'macs',
  'watch',
  'unwatch',
  'events',
  'connections',
  'flush',
  'limits',
  'timeouts',
  'changeZones',
  'sequenceChecking',
  'expectations',
  'snapshot',
];
const RULE_LOOKS: readonly RuleCommand[] = ['dump', 'stats', 'snapshot'];

const isLook = (request: HandlerRequest): boolean =>
  request.command === 'rules' ? RULE_LOOKS.includes(request.action) : LOOKS.includes(request.command);

/** From this many changes on, a snapshot takes their place; then from as many again. */
const MOST_CHANGES = 256;

export class Journal {
  #changes: HandlerRequest[] = [];
  #since = 0;

  /** What the next handler is to do before it begins. */
  get changes(): readonly HandlerRequest[] {
    return this.#changes;
  }

  /** Whether it is time to ask the handler for a snapshot; said once. */
  isDue(): boolean {
    if (this.#since < MOST_CHANGES) return false;
    this.#since = 0;
    return true;
  }

  /** Notes a request and its answer, in the order of the answers. */
  note(request: HandlerRequest, reply: HandlerReply): void {
    if (request.command === 'snapshot') {
      this.#changes = reply as HandlerRequest[];
    } else if (!isLook(request)) {
      this.#changes.push(request);
      this.#since++;
    }
  }
}
