/** Reassembly a byte at a time: who has which byte of a datagram, and what becomes of each fragment that comes. */

export interface Piece {
  /** What names its datagram. */
  name: string;
  start: number;
  bytes: Uint8Array;
  isLast: boolean;
  frame: Uint8Array;
}

interface List {
  expiresMs: number;
  /** By byte: whose it is. */
  owner: Map<number, Piece>;
  end?: number;
  hasFailed?: true;
}

const TIME_MS = 15_000;

export class NaiveFragments {
  /** By reason. */
  readonly dropped: Record<string, number> = {};
  readonly #most: number;
  /** The oldest first. */
  readonly #lists = new Map<string, List>();

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return [...this.#lists.values()].reduce((n, list) => n + pieces(list).length, 0);
  }

  /** Drops what is over. */
  expire(nowMs: number): void {
    for (const [name, list] of this.#lists) {
      if (list.expiresMs > nowMs) continue;
      this.#drop('fragment_incomplete', pieces(list).length);
      this.#lists.delete(name);
    }
  }

  /** The frames that go on because of this one; 'refused': it does, alone. */
  add(piece: Piece, nowMs: number): Uint8Array[] | 'refused' {
    const there = this.#lists.get(piece.name);
    const room = there ? this.#most : this.#most - Math.floor(this.#most / 4);
    if (this.held >= room) return 'refused';
    const list: List = there ?? { expiresMs: nowMs + TIME_MS, owner: new Map() };
    this.#lists.set(piece.name, list);
    if (!list.hasFailed && pieces(list).some((other) => isSame(piece, other))) {
      this.#drop('fragment_duplicate', 1);
      return [];
    }
    if (list.hasFailed || !fits(piece, list)) {
      this.#drop('fragment_overlap', 1 + pieces(list).length);
      this.#lists.set(piece.name, { ...list, owner: new Map(), hasFailed: true });
      return [];
    }
    for (let i = 0; i < piece.bytes.length; i++) list.owner.set(piece.start + i, piece);
    if (piece.isLast) list.end = piece.start + piece.bytes.length;
    if (list.owner.size !== list.end) return [];
    this.#lists.delete(piece.name);
    return pieces(list)
      .sort((a, b) => a.start - b.start)
      .map(({ frame }) => frame);
  }

  #drop(reason: string, n: number): void {
    if (n > 0) this.dropped[reason] = (this.dropped[reason] ?? 0) + n;
  }
}

const pieces = ({ owner }: List): Piece[] => [...new Set(owner.values())];

const isSame = (a: Piece, b: Piece): boolean =>
  a.start === b.start && a.isLast === b.isLast && Buffer.compare(a.bytes, b.bytes) === 0;

function fits({ start, bytes, isLast }: Piece, { owner, end }: List): boolean {
  for (let i = 0; i < bytes.length; i++) if (owner.has(start + i)) return false;
  if (end !== undefined && (isLast || start + bytes.length > end)) return false;
  return !isLast || [...owner.keys()].every((at) => at < start + bytes.length);
}
