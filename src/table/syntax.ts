/**
 * The lexical level of flow syntax: a line is cut into items (`name`, `name=value`, `name:value`,
 * `name(value)`) that remember where they stood, so that every complaint can point at its cause.
 */
import { nearest } from '../nearest.ts';

export const TABLE_MAX = 254;
export const DEFAULT_PRIORITY = 32768;
/** Numbers above these stand for no single group or meter. */
const GROUP_MAX = 0xffff_ff00;
export const METER_MAX = 0xffff_0000;

/** A piece of the text and where it stands; lines and columns count from 1. */
export interface Token {
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

export interface Item {
  readonly name: Token;
  readonly value: Token | undefined;
}

/** The text of a flow is wrong: where, what was found and what was expected. */
export class FlowError extends Error {
  readonly line: number;
  readonly column: number;
  readonly found: string;
  readonly expected: string;

  constructor(at: Token, found: string, expected: string) {
    super(`line ${at.line}, column ${at.column}: ${found}; expected ${expected}`);
    this.name = 'FlowError';
    this.line = at.line;
    this.column = at.column;
    this.found = found;
    this.expected = expected;
  }
}

/** @throws FlowError always */
export function fail(at: Token, found: string, expected: string): never {
  throw new FlowError(at, found, expected);
}

/** Longer than any that OVS could be sent, and what bounds everything that a line can say. */
const LINE_MAX = 65_536;

/** A whole line. @throws FlowError when it is too long */
export function lineToken(text: string, line: number): Token {
  const token = { text, line, column: 1 };
  if (text.length > LINE_MAX) fail(part(token, LINE_MAX), 'a longer line', `at most ${LINE_MAX} characters`);
  return token;
}

/** The part of a token from `start` (counted from 0) up to `end`. */
export const part = (token: Token, start: number, end = token.text.length): Token => ({
  text: token.text.slice(start, end),
  line: token.line,
  column: token.column + start,
});

/** `"p-2"` stands for p-2; what is not quoted stands for itself. */
export const unquoted = (text: string): string => text.replace(/^"(.*)"$/, '$1');

const isSeparator = (char: string): boolean => char === ',' || char === ' ' || char === '\t' || char === '\r';

/** Where the value that starts at `start` ends: at a separator outside quotes and parentheses. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (depth <= 0 && isSeparator(char)) return at;
  }
  return text.length;
}

/**
 * Cuts a list into its items.
 * @throws FlowError for a parenthesis that is not closed or followed by more text
 */
export function splitItems(list: Token): Item[] {
  const items: Item[] = [];
  const { text } = list;
  let at = 0;
  while (at < text.length) {
    if (isSeparator(text[at]!)) {
      at++;
      continue;
    }
    const end = valueEnd(text, at);
    const whole = part(list, at, end);
    const cut = /^(?:"[^"]*"|[^=:("]*)/.exec(whole.text)![0].length;
    const name = part(whole, 0, cut);
    const mark = whole.text[cut];
    if (mark === '(') {
      if (!whole.text.endsWith(')')) fail(whole, `"${whole.text}"`, '")" at its end');
      items.push({ name, value: part(whole, cut + 1, whole.text.length - 1) });
    } else {
      items.push({ name, value: mark === undefined ? undefined : part(whole, cut + 1) });
    }
    at = end;
  }
  return items;
}

/** @throws FlowError when the item has a value */
export function withoutValue({ name, value }: Item): void {
  if (value) fail(value, `"${value.text}"`, `${name.text} without a value`);
}

/** @throws FlowError when the item has no value */
export const valueFor = ({ name, value }: Item, what: string): Token =>
  value && value.text !== '' ? value : fail(name, `"${name.text}" without a value`, what);

/** Cuts at commas, and takes off the blanks around. */
export function splitCommas(token: Token): Token[] {
  let start = 0;
  return token.text.split(',').map((text) => {
    const blanks = text.length - text.trimStart().length;
    const piece = part(token, start + blanks, start + blanks + text.trim().length);
    start += text.length + 1;
    return piece;
  });
}

/**
 * The options of something, each at most once, by name.
 * @throws FlowError for a name that is not among `known`
 */
export function optionsOf(items: readonly Item[], known: readonly string[]): Map<string, Item> {
  const options = new Map<string, Item>();
  for (const item of items) {
    const { text } = item.name;
    if (!known.includes(text)) {
      fail(item.name, `unknown option "${text}"${suggestion(text, known)}`, `one of ${known.join(', ')}`);
    }
    if (options.has(text)) fail(item.name, `"${text}" twice`, 'each option once');
    options.set(text, item);
  }
  return options;
}

/** Reads pairs of hexadecimal digits, with dots between them if one likes. @throws FlowError */
export function parseHexBytes(token: Token): Uint8Array {
  if (!/^(?:[0-9a-f]{2}\.?)*$/i.test(token.text)) fail(token, `"${token.text}"`, 'bytes such as 01.02.ff');
  return Uint8Array.from(token.text.match(/[0-9a-f]{2}/gi) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** `; did you mean X?` for the nearest known name, or nothing when none is near. */
export function suggestion(name: string, known: Iterable<string>): string {
  const meant = nearest(name, known);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** @returns the number written in decimal or 0x hexadecimal, from `min` to `max`
 *  @throws FlowError */
export function parseNumber(token: Token, what: string, max: number, min = 0): number {
  return Number(parseLongNumber(token, what, BigInt(max), BigInt(min)));
}

/** The same for numbers of any size. @throws FlowError */
export function parseLongNumber(token: Token, what: string, max: bigint, min = 0n): bigint {
  // No field has more than 128 bits; longer digits are not even read.
  const isNumber = token.text.length <= 40 && /^(?:0x[0-9a-f]+|0|[1-9]\d*)$/i.test(token.text);
  const value = isNumber ? BigInt(token.text) : -1n;
  if (value < min || value > max) {
    fail(token, `"${token.text}"`, `${what} from ${min} to ${printMax(max)}`);
  }
  return value;
}

/** @throws FlowError */
export const parseTable = (token: Token): number => parseNumber(token, 'a table', TABLE_MAX);

/** @throws FlowError */
export const parseGroupNumber = (token: Token): number => parseNumber(token, 'a group', GROUP_MAX);

/** @throws FlowError */
export const parseMeterNumber = (token: Token): number => parseNumber(token, 'a meter', METER_MAX, 1);

const printMax = (max: bigint): string => (max > 0xffff_ffffn ? `0x${max.toString(16)}` : String(max));
