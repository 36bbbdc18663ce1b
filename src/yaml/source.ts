/**
 * A YAML file as text, value and positions: which line and column a key, a value, or a place inside a block
 * of text has in the file.
 */
import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { ConfigError, describe, type Place, type Problem } from './problem.ts';

export type Path = readonly PropertyKey[];

/** Values that aliases may stand for, all in all: what a few lines can expand to is bounded. */
const MOST_ALIASED = 100;

/** Reads a file, which should be `expected`. Throws ConfigError. */
export function readSource(file: string, expected: string): Source {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ConfigError([
      { file, path: '', found: code === 'ENOENT' ? 'no such file' : message, expected },
    ]);
  }
  return new Source(file, text);
}

export class Source {
  readonly file: string;
  /** What the YAML says, as plain values; null for an empty file. */
  readonly value: unknown;
  readonly #text: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();

  /** Throws ConfigError when `text` is not YAML. */
  constructor(file: string, text: string) {
    this.file = file;
    this.#text = text;
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: 'error',
    });
    const broken = this.#document.errors.map(({ message, pos }) => this.#notYaml(message, pos[0]));
    visit(this.#document, {
      Alias: (_, alias) => {
        const known = alias.resolve(this.#document) !== undefined;
        if (!known) broken.push(this.#notYaml(`no anchor ${alias.source}`, alias.range?.[0] ?? 0));
      },
    });
    if (broken.length > 0) throw new ConfigError(broken);
    try {
      this.value = this.#document.toJS({ maxAliasCount: MOST_ALIASED });
    } catch (error) {
      throw new ConfigError([this.#notYaml((error as Error).message, 0)]);
    }
  }

  #notYaml(why: string, offset: number): Problem {
    const found = `text that is not YAML (${why.split('\n')[0]})`;
    return { file: this.file, ...this.#place(offset), path: '', found, expected: 'YAML 1.2' };
  }

  /** The value at `path` is wrong; when it is missing, the key that should contain it is pointed at. */
  wrongValue(path: Path, expected: string, found = describe(this.#plain(path))): Problem {
    const node = this.#node(path);
    const place = isNode(node) ? this.#place(node.range?.[0] ?? 0) : this.#keyPlace(path.slice(0, -1));
    return { file: this.file, ...place, path: path.join('.'), found, expected };
  }

  /** The last key of `path` is wrong. */
  wrongKey(path: Path, expected: string): Problem {
    const found = describe(path.at(-1));
    return { file: this.file, ...this.#keyPlace(path), path: path.slice(0, -1).join('.'), found, expected };
  }

  /** The text at `path` is wrong at a line and column of its own, both from 1. */
  wrongText(path: Path, within: Place, expected: string, found: string): Problem {
    const node = this.#node(path);
    const offset = isScalar(node) && typeof node.value === 'string' ? this.#offset(node, within) : 0;
    return { file: this.file, ...this.#place(offset), path: path.join('.'), found, expected };
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** What `path` leads to. A schema may take one value for a list of one: its first is then the value itself. */
  #plain(path: Path): unknown {
    let value = this.value;
    for (const key of path) {
      if (typeof value === 'object') value = (value as Record<PropertyKey, unknown> | null)?.[key];
    }
    return value;
  }

  #node(path: Path): unknown {
    let node: unknown = this.#document.contents;
    for (const key of path) {
      node = this.#resolved(node);
      if (isScalar(node)) break;
      node = isSeq(node) ? node.items[Number(key)] : this.#pair(node, key)?.value;
    }
    return this.#resolved(node);
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  #pair(node: unknown, key: PropertyKey) {
    if (!isMap(node)) return undefined;
    return node.items.find((pair) => String(isScalar(pair.key) ? pair.key.value : pair.key) === String(key));
  }

  /** Where the last key of `path` stands; an item of a list has none, so where it begins. */
  #keyPlace(path: Path): Place {
    const parent = path.length === 0 ? undefined : this.#node(path.slice(0, -1));
    const node = isSeq(parent) ? parent.items[Number(path.at(-1))] : this.#pair(parent, path.at(-1)!)?.key;
    const at = (node ?? this.#document.contents) as Node | null;
    return this.#place(at?.range?.[0] ?? 0);
  }

  /**
   * Where a place inside a scalar's text stands in the file. Block, folded, quoted and plain scalars differ
   * in how they treat white space and in nothing else that matters here, so the characters that are not
   * white space are counted, in the text and in the file.
   */
  #offset(
    node: { value?: unknown; type?: string; range?: [number, number, number] | null },
    within: Place,
  ): number {
    const value = node.value as string;
    const lines = value.split('\n');
    const before = lines.slice(0, within.line - 1).reduce((length, line) => length + line.length + 1, 0);
    const wanted = Math.min(before + within.column - 1, value.length);
    const solid = Math.max(value.slice(0, wanted + 1).search(/\S\s*$/), 0); // the last solid character up to `wanted`
    let left = value.slice(0, solid).replace(/\s/g, '').length;

    const [start, end] = node.range ?? [0, 0];
    const block = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
    const quoted = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE';
    const unit =
      node.type === 'QUOTE_DOUBLE' ? /\\.|[\s\S]/y : node.type === 'QUOTE_SINGLE' ? /''|[\s\S]/y : /[\s\S]/y;
    unit.lastIndex = block ? this.#text.indexOf('\n', start) + 1 : start + (quoted ? 1 : 0);
    for (let offset = unit.lastIndex; offset < end; offset = unit.lastIndex) {
      const [read] = unit.exec(this.#text)!;
      if (/^(\s|\\[ntr \n])$/.test(read)) continue;
      if (left-- === 0) return offset + (wanted - solid);
    }
    return start;
  }
}
