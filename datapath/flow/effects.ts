/**
 * Effects: what the packets of a flow credit, as its translation said. A list of 32-bit words, of which the two high bits
 * of each are its kind:
 *
 *     EFFECT_RULE     number                                    a rule is credited with packets and bytes
 *     EFFECT_PUNT     number                                    of a name: what a packet-in of the program means
 *     EFFECT_STATE    number                                    of a name: where the tables go on with the packet
 *     EFFECT_SENDER   port; vlan << 16 | mac >> 32; mac         who sends the packets, and is learned again
 *
 *     in the life   [ 15 words │ link ]──▶ block [ 63 words │ link ]──▶ …        link: number + 1, 0 none
 *
 * Written by the flow's maker, and later under its life's lock (life.ts); read under that lock, and at the very end by
 * whoever gives the record back. From `setEffects` to `endEffects` the names in them are held.
 */
import { learnAgain } from '../bridge/learn';
import { NONE } from '../memory/arena';
import { NAME_PUNT, NAME_STATE, releaseName, retainName } from '../memory/names';
import { give, POOL_BLOCKS, take } from '../memory/pool';
import { self } from '../memory/thread';
import { BLOCK_LINK, BLOCK_WORDS, blockAt } from './flow';
import { LIFE_EFFECTS, Life } from './life';
import { creditRule } from './rule-counters';

export const EFFECT_RULE: u32 = 0;
export const EFFECT_PUNT: u32 = 1;
export const EFFECT_STATE: u32 = 2;
export const EFFECT_SENDER: u32 = 3;
/** How far the kind stands to the left. */
export const EFFECT_KIND: u32 = 30;
/** The bits of a number or port. */
export const EFFECT_NUMBER: u32 = 0x3fffffff;

/** So many words stand in the life itself. */
export const OWN_EFFECTS: u32 = 15;
/** So many may be given at a time. */
export const MOST_EFFECTS: u32 = 248;

/** Of a rule that is none: nobody is credited. */
const NO_EFFECT: u32 = 0x3fffffff;

const LINK: usize = 60; // behind OWN_EFFECTS words

/** Where the words of one flow are being gone over: this thread's own. */
let at: usize = 0;
let left: u32 = 0;

function goTo(life: Life): void {
  at = changetype<usize>(life) + LIFE_EFFECTS;
  left = OWN_EFFECTS;
}

/** Address of the next word. */
function next(): usize {
  if (left == 0) {
    at = blockAt(load<u32>(at) - 1);
    left = BLOCK_WORDS;
  }
  left--;
  at += 4;
  return at - 4;
}

function linkOf(life: Life): usize {
  return changetype<usize>(life) + LIFE_EFFECTS + LINK;
}

/** First block of a flow's effects; number + 1, 0 none. */
export function firstBlock(life: Life): u32 {
  return load<u32>(linkOf(life));
}

/**
 * Gives a life the `n` words of effects at `words`, instead of those it has. False, and it keeps those, when blocks have
 * run out.
 */
export function setEffects(life: Life, words: usize, n: u32): bool {
  const chain = takeBlocks(n > OWN_EFFECTS ? (n - OWN_EFFECTS + BLOCK_WORDS - 1) / BLOCK_WORDS : 0);
  if (chain == NONE) return false;
  hold(words, n); // before those of before are let go: a name may be in both
  endEffects(life);
  store<u32>(linkOf(life), chain);
  goTo(life);
  for (let i: u32 = 0; i < n; i++) store<u32>(next(), load<u32>(words + ((<usize>i) << 2)));
  life.effects = n;
  return true;
}

/** So many blocks in a chain; the first as number + 1, or 0 for none at all. NONE when there are not enough. */
function takeBlocks(n: u32): u32 {
  let chain: u32 = 0;
  for (; n != 0; n--) {
    const block = take(self.number, POOL_BLOCKS);
    if (block == NONE) {
      giveChain(chain);
      return NONE;
    }
    store<u32>(blockAt(block) + BLOCK_LINK, chain);
    chain = block + 1;
  }
  return chain;
}

function giveChain(chain: u32): void {
  while (chain != 0) {
    const block = chain - 1;
    chain = load<u32>(blockAt(block) + BLOCK_LINK);
    give(self.number, POOL_BLOCKS, block);
  }
}

/** Ends a life's effects, and gives back their blocks. */
export function endEffects(life: Life): void {
  const chain = firstBlock(life);
  letGo(life);
  forgetEffects(life);
  giveChain(chain);
}

/** Ends them while names and the pool of blocks are made anew (reclaim.ts). */
export function forgetEffects(life: Life): void {
  life.effects = 0;
  store<u32>(linkOf(life), 0);
}

/** Credits what the packets of a flow do with so many more of them, the last at `usedMs`. */
export function creditEffects(life: Life, packets: u64, bytes: u64, usedMs: f64): void {
  goTo(life);
  for (let i: u32 = 0; i < life.effects; i++) {
    const effect = load<u32>(next());
    const kind = effect >>> EFFECT_KIND;
    if (kind == EFFECT_RULE) creditRule(effect & EFFECT_NUMBER, packets, bytes, usedMs);
    if (kind != EFFECT_SENDER) continue;
    const vlanAndHigh = load<u32>(next());
    const low = load<u32>(next());
    hear(effect & EFFECT_NUMBER, vlanAndHigh, low, usedMs);
    i += 2;
  }
}

/** A sender was heard of at `port` again. Its address is `vlanAndHigh << 32 | low` but for the VLAN. */
function hear(port: u32, vlanAndHigh: u32, low: u32, heardMs: f64): void {
  learnAgain(vlanAndHigh >>> 16, vlanAndHigh & 0xffff, low, port, heardMs);
}

/** Effects begin: the names in these words, which become a life's, are in use. One that is forgotten is left out. */
function hold(words: usize, n: u32): void {
  for (let i: u32 = 0; i < n; i += 1 + wordsBehind(load<u32>(words + ((<usize>i) << 2)))) {
    holdName(words + ((<usize>i) << 2));
  }
}

/** Holds the names in a life's effects once more, when nobody holds any (reclaim.ts). */
export function holdAgain(life: Life): void {
  goTo(life);
  for (let i: u32 = 0; i < life.effects; i++) {
    const word = next();
    holdName(word);
    i += pass(load<u32>(word));
  }
}

function holdName(word: usize): void {
  const effect = load<u32>(word);
  if (!isName(effect >>> EFFECT_KIND)) return;
  if (!retainName(nameKind(effect), effect & EFFECT_NUMBER)) store<u32>(word, NO_EFFECT);
}

/** A life's effects end. */
function letGo(life: Life): void {
  goTo(life);
  for (let i: u32 = 0; i < life.effects; i++) {
    const effect = load<u32>(next());
    if (isName(effect >>> EFFECT_KIND)) releaseName(nameKind(effect), effect & EFFECT_NUMBER);
    i += pass(effect);
  }
}

function isName(kind: u32): bool {
  return kind == EFFECT_PUNT || kind == EFFECT_STATE;
}

function nameKind(effect: u32): u32 {
  return effect >>> EFFECT_KIND == EFFECT_PUNT ? NAME_PUNT : NAME_STATE;
}

/** How many words belong to an effect behind its first. */
function wordsBehind(effect: u32): u32 {
  return effect >>> EFFECT_KIND == EFFECT_SENDER ? 2 : 0;
}

/** Goes past those. Returns how many. */
function pass(effect: u32): u32 {
  const words = wordsBehind(effect);
  for (let i: u32 = 0; i < words; i++) next();
  return words;
}
