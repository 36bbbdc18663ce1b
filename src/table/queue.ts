/**
 * A queue of which the item with the least key is first, and from which any item can be taken: a binary heap
 * that knows where each item stands.
 *
 *     keys         3            an item's children stand at 2i + 1 and 2i + 2,
 *               8     5         and no child has a lesser key
 *              9 8   6
 */
export class Queue<T> {
  readonly #items: T[] = [];
  readonly #keys: number[] = [];
  readonly #places = new Map<T, number>();

  get size(): number {
    return this.#items.length;
  }

  /** The least key; infinite when there is nothing. */
  get firstKey(): number {
    return this.#keys[0] ?? Number.POSITIVE_INFINITY;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** Gives an item a key, and a place if it has none. */
  set(item: T, key: number): void {
    const place = this.#places.get(item) ?? this.#items.length;
    this.#put(place, item, key);
    this.#settle(place);
  }

  /** Nothing happens when the item is not there. */
  delete(item: T): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const [last, key] = [this.#items.pop()!, this.#keys.pop()!];
    if (place === this.#items.length) return;
    this.#put(place, last, key);
    this.#settle(place);
  }

  #put(place: number, item: T, key: number): void {
    this.#items[place] = item;
    this.#keys[place] = key;
    this.#places.set(item, place);
  }

  /** Moves an item up or down to where its key belongs. */
  #settle(from: number): void {
    let place = from;
    while (place > 0 && this.#keys[(place - 1) >> 1]! > this.#keys[place]!) {
      place = this.#swap(place, (place - 1) >> 1);
    }
    for (;;) {
      const child = this.#lesserChild(place);
      if (child === undefined || this.#keys[child]! >= this.#keys[place]!) return;
      place = this.#swap(place, child);
    }
  }

  #lesserChild(place: number): number | undefined {
    const [left, right] = [2 * place + 1, 2 * place + 2];
    if (left >= this.#keys.length) return undefined;
    return right < this.#keys.length && this.#keys[right]! < this.#keys[left]! ? right : left;
  }

  /** Returns `to`. */
  #swap(from: number, to: number): number {
    const [item, key] = [this.#items[from]!, this.#keys[from]!];
    this.#put(from, this.#items[to]!, this.#keys[to]!);
    this.#put(to, item, key);
    return to;
  }
}
