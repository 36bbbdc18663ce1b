/** From the readings of all rounds to rows, and from rows to tables and lines of JSON. */
import Table from 'cli-table3';
import { median } from '../../src/bench/median.ts';
import type { Reading } from './measures/measure.ts';

type Parameters = Record<string, string | number | boolean>;

/**
 * One figure of one system over all rounds. `value` is the median; null when every round failed. What else a
 * reading says, such as how many segments were sent again, is the last round's.
 */
export interface Row {
  name: string;
  system: string;
  value: number | null;
  unit: string;
  rounds: number;
  min: number | null;
  max: number | null;
  ratio: number | null;
  baseline: string;
  failed: number;
  failure?: string;
  [parameter: string]: unknown;
}

/** Readings as they come in, by figure and system. */
export class Results {
  private readonly cells = new Map<string, Map<string, { readings: Reading[]; parameters: Parameters }>>();

  add(system: string, reading: Reading, parameters: Parameters): void {
    const systems = this.cells.get(reading.name) ?? new Map();
    this.cells.set(reading.name, systems);
    const cell = systems.get(system) ?? { readings: [], parameters: {} };
    systems.set(system, cell);
    cell.readings.push(reading);
    Object.assign(cell.parameters, parameters, reading.parameters);
  }

  /** One row for each figure and system; `baseline` is the system that ratios refer to. */
  rows(baseline: string): Row[] {
    return [...this.cells].flatMap(([name, systems]) => {
      const base = middle(systems.get(baseline)?.readings ?? []);
      return [...systems].map(([system, { readings, parameters }]): Row => {
        const values = numbers(readings);
        const value = middle(readings);
        const failures = readings.filter((reading) => reading.failure !== undefined);
        return {
          name,
          system,
          value,
          unit: readings.find(({ unit }) => unit)?.unit ?? '',
          rounds: readings.length,
          min: values.length > 0 ? Math.min(...values) : null,
          max: values.length > 0 ? Math.max(...values) : null,
          ratio: value !== null && base ? value / base : null,
          baseline,
          failed: failures.length,
          failure: failures.at(-1)?.failure,
          ...parameters,
        };
      });
    });
  }
}

const numbers = (readings: readonly Reading[]): number[] =>
  readings.flatMap(({ value }) => (value === undefined ? [] : [value]));

function middle(readings: readonly Reading[]): number | null {
  const values = numbers(readings);
  return values.length > 0 ? median(values) : null;
}

/** A table for each figure. */
export function tables(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ name }) => name))];
  return names.map((name) => table(rows.filter((row) => row.name === name))).join('\n\n');
}

function table(rows: readonly Row[]): string {
  const [{ name, baseline }] = rows;
  const unit = rows.find((row) => row.unit)?.unit ?? '';
  const table = new Table({
    head: ['system', 'offload', `median ${unit}`, 'min..max', `× ${baseline}`, ''],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { system, offload, value, min, max, ratio, rounds, failed, failure } of rows)
    table.push([
      system,
      offload === 'port' ? 'port' : offload ? 'on' : 'off',
      figure(value),
      min === null ? '' : `${figure(min)}..${figure(max)}`,
      ratio === null ? '' : ratio.toFixed(2),
      failed > 0 ? `${failed} of ${rounds} rounds: ${brief(failure!)}` : '',
    ]);
  return `${name}\n${table}`;
}

/** As much of a failure as a table bears; the JSON row has all of it. */
function brief(failure: string): string {
  const [line] = failure.split('\n');
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

/** Three significant digits, and no fraction from a hundred on. */
function figure(value: number | null): string {
  if (value === null) return '–';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
