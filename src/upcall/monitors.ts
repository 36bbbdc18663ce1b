/**
 * Who watches the switch, and what each has not been told yet: packets for controllers, samples, and flows that
 * went. Every monitor has a queue with a limit; what does not fit is lost to it, and counted.
 */
import type { SwitchEvent, Watched } from '../model.ts';

export const MONITORS_MAX = 16;
const EVENTS_MAX = 4096;
/** Hex digits and text of packets that one queue may hold. */
const CHARACTERS_MAX = 8 << 20;

/** Characters of an event beside its packet, about. */
const EVENT_CHARACTERS = 512;

const sizeOf = (event: SwitchEvent): number =>
  EVENT_CHARACTERS + ('bytes' in event && typeof event.bytes === 'string' ? event.bytes.length : 0);

class EventQueue {
  #events: SwitchEvent[] = [];
  #characters = 0;
  #lost = 0;

  /** Whether there was room for it. */
  add(event: SwitchEvent): boolean {
    const size = sizeOf(event);
    if (this.#events.length >= EVENTS_MAX || this.#characters + size > CHARACTERS_MAX) {
      this.#lost++;
      return false;
    }
    this.#events.push(event);
    this.#characters += size;
    return true;
  }

  take(): Watched {
    const watched = { events: this.#events, lost: this.#lost };
    this.#events = [];
    this.#characters = 0;
    this.#lost = 0;
    return watched;
  }
}

export class Monitors {
  readonly #queues = new Map<number, EventQueue>();

  /** Whether anybody watches. */
  get areThere(): boolean {
    return this.#queues.size > 0;
  }

  /** Tells everybody who watches; false when nobody does or has room. */
  tell(event: SwitchEvent): boolean {
    let told = false;
    for (const queue of this.#queues.values()) told = queue.add(event) || told;
    return told;
  }

  /**
   * What happened since monitor `id` last asked; one that has never asked watches from now on.
   * @throws Error when there are too many
   */
  take(id: number): Watched {
    let queue = this.#queues.get(id);
    if (!queue) {
      if (this.#queues.size >= MONITORS_MAX) throw new Error(`more than ${MONITORS_MAX} monitors`);
      queue = new EventQueue();
      this.#queues.set(id, queue);
    }
    return queue.take();
  }

  /** Monitor `id` watches no more. */
  end(id: number): void {
    this.#queues.delete(id);
  }
}

/** What several have been told, in the order in which it happened. */
export const together = (parts: readonly Watched[]): Watched => ({
  events: parts.flatMap(({ events }) => events).sort((a, b) => a.atMs - b.atMs),
  lost: parts.reduce((sum, { lost }) => sum + lost, 0),
});
