/**
 * A set of 32-bit words that says how many leading bits it takes to tell a word from all of them: what a
 * megaflow needs of an address to be sure that no rule has it (OVS calls this prefix tracking).
 *
 * It is a crit-bit tree: a branch names the first bit in which the words below it differ, and words that
 * start alike lie together. Following a word's own bits down leads to one of the words that share the
 * longest prefix with it, so adding, removing and asking take one walk of at most 32 steps.
 *
 *                bit 8
 *               ╱     ╲
 *        10.0.0.1     bit 30
 *                    ╱      ╲
 *             10.200.0.1   10.200.0.2
 *
 * Words are in network order here, as signed numbers; the first bit sent is bit 0.
 */
interface Branch {
  readonly bit: number;
  zero: Tree;
  one: Tree;
}

type Tree = Branch | number;

const hasBit = (word: number, bit: number): boolean => ((word << bit) & 0x8000_0000) !== 0;

export class Prefixes {
  #root: Tree | undefined;

  /** How many leading bits tell `word` from every word of the set but itself: 0 to 32. */
  bitsToTell(word: number): number {
    if (this.#root === undefined) return 0;
    let tree = this.#root;
    let bits = 0;
    while (typeof tree !== 'number') {
      bits = tree.bit + 1;
      tree = hasBit(word, tree.bit) ? tree.one : tree.zero;
    }
    return tree === word ? bits : Math.clz32(tree ^ word) + 1;
  }

  /** Adds a word; nothing happens when it is there. */
  add(word: number): void {
    if (this.#root === undefined) {
      this.#root = word;
      return;
    }
    let nearest = this.#root;
    while (typeof nearest !== 'number') nearest = hasBit(word, nearest.bit) ? nearest.one : nearest.zero;
    if (nearest === word) return;
    const bit = Math.clz32(nearest ^ word);
    let above: Branch | undefined;
    let tree = this.#root;
    while (typeof tree !== 'number' && tree.bit < bit) {
      above = tree;
      tree = hasBit(word, tree.bit) ? tree.one : tree.zero;
    }
    this.#put(
      above,
      word,
      hasBit(word, bit) ? { bit, zero: tree, one: word } : { bit, zero: word, one: tree },
    );
  }

  /** Removes a word; nothing happens when it is not there. */
  remove(word: number): void {
    let above: Branch | undefined;
    let aboveThat: Branch | undefined;
    let tree = this.#root;
    while (tree !== undefined && typeof tree !== 'number') {
      aboveThat = above;
      above = tree;
      tree = hasBit(word, tree.bit) ? tree.one : tree.zero;
    }
    if (tree !== word) return;
    if (above) this.#put(aboveThat, word, hasBit(word, above.bit) ? above.zero : above.one);
    else this.#root = undefined;
  }

  /** Puts a tree where `word`'s way leads on from a branch, or at the root. */
  #put(above: Branch | undefined, word: number, tree: Tree): void {
    if (!above) this.#root = tree;
    else if (hasBit(word, above.bit)) above.one = tree;
    else above.zero = tree;
  }
}
