/** Programs as trees: written as words, and run in the plain way on the bytes of a packet. */
import {
  OP_CLONE,
  OP_CONTROLLER,
  OP_DROP,
  OP_END,
  OP_OUTPUT,
  OP_POP_VLAN,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TALLY,
  OP_TRUNCATE,
} from '../../src/datapath.ts';
import { chance, pick, type Random } from './seeded.ts';

export type Program = readonly Step[];

export type Step =
  | { do: 'output' | 'controller' | 'recirculate' | 'tally' | 'truncate' | 'drop'; value: number }
  /** Sets the last byte of the destination address. */
  | { do: 'setHost'; value: number }
  | { do: 'push'; tci: number }
  | { do: 'pop' }
  | { do: 'clone'; inside: Program }
  /** Of all packets, or of none. */
  | { do: 'sample'; always: boolean; inside: Program }
  /** Only one bucket has a weight. */
  | { do: 'select'; chosen: number; inside: readonly Program[] };

const OPERATIONS = {
  output: OP_OUTPUT,
  controller: OP_CONTROLLER,
  recirculate: OP_RECIRCULATE,
  tally: OP_TALLY,
  truncate: OP_TRUNCATE,
  drop: OP_DROP,
};

const TPID = 0x8100;

/** The program's words, OP_END included. */
export function words(program: Program): number[] {
  return [...program.flatMap(stepWords), OP_END];
}

function stepWords(step: Step): number[] {
  switch (step.do) {
    case 'setHost':
      return [OP_SET, 12, step.value << 8, 0xff00];
    case 'push':
      return [OP_PUSH_VLAN, ((TPID << 16) | step.tci) >>> 0];
    case 'pop':
      return [OP_POP_VLAN];
    case 'clone':
      return [OP_CLONE, ...words(step.inside)];
    case 'sample':
      return [OP_SAMPLE, step.always ? 0xffffffff : 0, ...words(step.inside)];
    case 'select': {
      const buckets = step.inside.flatMap((_, i) => [i + 1, i === step.chosen ? 7 : 0]);
      return [OP_SELECT, 0, step.inside.length, ...buckets, ...step.inside.flatMap(words)];
    }
    default:
      return [OPERATIONS[step.do], step.value];
  }
}

/** What became of a packet. Bytes are in hexadecimal. */
export interface Effects {
  sent: [port: number, bytes: string][];
  punts: [index: number, bytes: string, originalLength: number][];
  tallies: Map<number, { packets: number; bytes: number }>;
  rounds: [recirculation: number, packet: Uint8Array][];
}

export const noEffects = (): Effects => ({ sent: [], punts: [], tallies: new Map(), rounds: [] });

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Runs a program on a copy of `packet`. */
export function run(program: Program, packet: Uint8Array, effects: Effects): void {
  let bytes = packet.slice();
  let limit = Number.POSITIVE_INFINITY;
  const cut = (): string => {
    const taken = bytes.slice(0, Math.max(limit, 14));
    limit = Number.POSITIVE_INFINITY;
    return hex(taken);
  };
  for (const step of program) {
    switch (step.do) {
      case 'output':
        effects.sent.push([step.value, cut()]);
        break;
      case 'controller':
        effects.punts.push([step.value, cut(), bytes.length]);
        break;
      case 'recirculate':
        effects.rounds.push([step.value, bytes.slice()]);
        break;
      case 'tally': {
        const tally = effects.tallies.get(step.value) ?? { packets: 0, bytes: 0 };
        tally.packets++;
        tally.bytes += bytes.length;
        effects.tallies.set(step.value, tally);
        break;
      }
      case 'truncate':
        limit = step.value;
        break;
      case 'setHost':
        bytes[5] = step.value;
        break;
      case 'push':
        bytes = Uint8Array.from(
          Buffer.concat([
            bytes.subarray(0, 12),
            Uint8Array.of(TPID >> 8, TPID & 0xff, step.tci >> 8, step.tci & 0xff),
            bytes.subarray(12),
          ]),
        );
        break;
      case 'pop':
        if (bytes[12] === TPID >> 8 && bytes[13] === (TPID & 0xff)) {
          bytes = Uint8Array.from(Buffer.concat([bytes.subarray(0, 12), bytes.subarray(16)]));
        }
        break;
      case 'clone':
        run(step.inside, bytes, effects);
        break;
      case 'sample':
        if (step.always) run(step.inside, bytes, effects);
        break;
      case 'select':
        if (step.inside[step.chosen]) run(step.inside[step.chosen]!, bytes, effects);
        break;
    }
  }
}

/** What random programs may name. */
export interface Choices {
  ports: readonly number[];
  tallies: number;
  /** Numbers for OP_RECIRCULATE; none: the program does not send round. */
  rounds: readonly number[];
  pushes: boolean;
}

export function randomProgram(random: Random, choices: Choices, nesting = 3): Step[] {
  return Array.from({ length: random.below(7) }, () => randomStep(random, choices, nesting));
}

function randomStep(random: Random, choices: Choices, nesting: number): Step {
  const inside = () => randomProgram(random, choices, nesting - 1);
  if (nesting > 0 && chance(random, 0.25)) {
    const programs = Array.from({ length: random.below(20) }, inside);
    return pick<Step>(random, [
      { do: 'clone', inside: inside() },
      { do: 'sample', always: chance(random, 0.7), inside: inside() },
      { do: 'select', chosen: random.below(programs.length + 1), inside: programs },
    ]);
  }
  const output: Step = { do: 'output', value: pick(random, choices.ports) };
  return pick<Step>(random, [
    output,
    output,
    output,
    { do: 'setHost', value: random.below(256) },
    { do: 'tally', value: random.below(choices.tallies) },
    { do: 'truncate', value: random.below(100) },
    { do: 'controller', value: random.below(1000) },
    { do: 'drop', value: random.below(20) },
    { do: 'pop' },
    choices.pushes ? { do: 'push', tci: random.below(4096) } : output,
    choices.rounds.length > 0 ? { do: 'recirculate', value: pick(random, choices.rounds) } : output,
  ]);
}
