/**
 * From text to a list of changes, one a line, to be made all together:
 *
 *     table=0,ip,actions=group:1
 *     flow delete table=1
 *     group add group_id=1,type=all,bucket=output:1,bucket=output:2
 *     meter add meter=1,kbps,band=type=drop,rate=1000
 *
 * As in the files that `ovs-ofctl bundle` takes, and with meters besides. A line that names nothing is a flow
 * to be added, and so is one without a command.
 */
import type { Group } from './group.ts';
import type { Meter } from './meter.ts';
import {
  type Flow,
  type FlowChange,
  type FlowFilter,
  parseChange,
  parseFilter,
  parseFlow,
  parseLines,
} from './parse.ts';
import { parseGroup } from './parse-group.ts';
import { parseMeter } from './parse-meter.ts';
import {
  fail,
  lineToken,
  optionsOf,
  parseGroupNumber,
  parseMeterNumber,
  part,
  splitItems,
  suggestion,
  type Token,
  valueFor,
} from './syntax.ts';
import type { PortNumbers } from './values.ts';

type Parsed =
  | { readonly kind: 'flow'; readonly command: 'add'; readonly flow: Flow }
  | {
      readonly kind: 'flow';
      readonly command: 'modify';
      readonly change: FlowChange;
      readonly strict: boolean;
    }
  | {
      readonly kind: 'flow';
      readonly command: 'delete';
      readonly filter: FlowFilter;
      readonly strict: boolean;
    }
  | { readonly kind: 'group'; readonly command: 'add' | 'modify' | 'addOrModify'; readonly group: Group }
  /** Undefined: all of them. */
  | { readonly kind: 'group'; readonly command: 'delete'; readonly id: number | undefined }
  | { readonly kind: 'meter'; readonly command: 'add'; readonly meter: Meter }
  | { readonly kind: 'meter'; readonly command: 'modify'; readonly meter: Meter }
  | { readonly kind: 'meter'; readonly command: 'delete'; readonly id: number | undefined };

/** A change, and the line that says it. */
export type Change = Parsed & { readonly at: Token };

type Parser = (text: string, ports: PortNumbers, line: number) => Parsed;

const flowModification =
  (strict: boolean): Parser =>
  (...text) => ({ kind: 'flow', command: 'modify', change: parseChange(...text), strict });

const flowDeletion =
  (strict: boolean): Parser =>
  (...text) => ({ kind: 'flow', command: 'delete', filter: parseFilter(...text), strict });

const group =
  (command: 'add' | 'modify' | 'addOrModify'): Parser =>
  (...text) => ({ kind: 'group', command, group: parseGroup(...text) });

const meter =
  (command: 'add' | 'modify'): Parser =>
  (text, _ports, line) => ({ kind: 'meter', command, meter: parseMeter(text, line) });

/** Reads `NAME=NUMBER`; nothing, and `NAME=all`, stand for all. */
function parseOne(text: string, line: number, name: string, parse: (token: Token) => number) {
  const item = optionsOf(splitItems(lineToken(text, line)), [name]).get(name);
  const value = item && valueFor(item, `${name}=NUMBER`);
  return value === undefined || value.text === 'all' ? undefined : parse(value);
}

const groupDeletion: Parser = (text, _ports, line) => ({
  kind: 'group',
  command: 'delete',
  id: parseOne(text, line, 'group_id', parseGroupNumber),
});

const meterDeletion: Parser = (text, _ports, line) => ({
  kind: 'meter',
  command: 'delete',
  id: parseOne(text, line, 'meter', parseMeterNumber),
});

const addFlow: Parser = (...text) => ({ kind: 'flow', command: 'add', flow: parseFlow(...text) });

/** What a line can begin with, and the commands that may follow; the first is the one that may be left out. */
const COMMANDS = new Map<string, ReadonlyMap<string, Parser>>([
  [
    'flow',
    new Map([
      ['add', addFlow],
      ['modify', flowModification(false)],
      ['modify_strict', flowModification(true)],
      ['delete', flowDeletion(false)],
      ['delete_strict', flowDeletion(true)],
    ]),
  ],
  [
    'group',
    new Map([
      ['add', group('add')],
      ['modify', group('modify')],
      ['add_or_mod', group('addOrModify')],
      ['delete', groupDeletion],
    ]),
  ],
  [
    'meter',
    new Map([
      ['add', meter('add')],
      ['modify', meter('modify')],
      ['delete', meterDeletion],
    ]),
  ],
]);

/** A word that stands alone, from `start` on, blanks before it aside; empty when there is none. */
function wordAt(text: string, start: number): { readonly word: string; readonly end: number } {
  const [whole, word] = /^\s*([a-z_]*)(?=\s|$)/.exec(text.slice(start)) ?? ['', ''];
  return { word: word!, end: start + whole.length };
}

/** The line with blanks for what is already read, so that columns stay what they are. */
const blanked = (text: string, end: number): string => ' '.repeat(end) + text.slice(end);

function parseLine(text: string, ports: PortNumbers, line: number): Parsed {
  const kind = wordAt(text, 0);
  const commands = COMMANDS.get(kind.word);
  if (!commands) return addFlow(text, ports, line);
  const command = wordAt(text, kind.end);
  const parse = commands.get(command.word);
  if (parse) return parse(blanked(text, command.end), ports, line);
  const names = [...commands.keys()];
  const near = suggestion(command.word, names);
  if (command.word !== '' && near !== '') {
    const at = part(lineToken(text, line), command.end - command.word.length, command.end);
    fail(at, `unknown command "${command.word}"${near}`, `one of ${names.join(', ')}`);
  }
  return commands.get('add')!(blanked(text, kind.end), ports, line);
}

/** A parser that notes where the line starts. */
const located =
  (parse: Parser) =>
  (text: string, ports: PortNumbers, line: number): Change => ({
    ...parse(text, ports, line),
    at: part(lineToken(text, line), text.length - text.trimStart().length),
  });

/**
 * Reads one change a line. Blank lines and comments from `#` on are skipped.
 * @throws FlowError
 */
export const parseBundle = (text: string, ports?: PortNumbers): Change[] =>
  parseLines(text, located(parseLine), ports);

/**
 * Reads lines that are all the same kind of change, without the words for it: `command` as in a bundle. A
 * deletion without any text is one of everything.
 * @throws FlowError
 */
export function parseChanges(
  kind: Change['kind'],
  command: string,
  text: string,
  ports: PortNumbers = new Map(),
): Change[] {
  const parse = located(COMMANDS.get(kind)!.get(command)!);
  const changes = parseLines(text, parse, ports);
  return changes.length === 0 && command === 'delete' ? [parse('', ports, 1)] : changes;
}
