/** What benches print: a row a figure, the median over the rounds. */

import { median } from '../bench/median.ts';
import { plural } from '../plural.ts';

export interface Row {
  name: string;
  /** Median over the rounds. */
  value: number;
  unit: string;
  min: number;
  max: number;
  [parameter: string]: string | number;
}

export function row<Round>(
  name: string,
  unit: string,
  rounds: Round[],
  figure: (round: Round) => number,
): Row {
  return summarize(name, unit, rounds.map(figure));
}

export function summarize(name: string, unit: string, figures: number[]): Row {
  const [value, min, max] = [median(figures), Math.min(...figures), Math.max(...figures)].map(round3);
  return { name, value: value!, unit, min: min!, max: max! };
}

export function describeRow({ name, value, unit, min, max, threads, nsPerPacket }: Row): string {
  const each = nsPerPacket === undefined ? '' : `, ${Number(nsPerPacket).toFixed(1)} ns/packet`;
  const figure = `${value.toFixed(2)} ${unit}${each}`;
  return `median   ${name}, ${plural(Number(threads), 'thread')}: ${figure} (${min} to ${max})`;
}

export const round3 = (value: number): number => Math.round(value * 1000) / 1000;
