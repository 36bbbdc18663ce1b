/** What a replay came to: the summary of a run, and which flows the packets took. */
import type { FlowRow, Summary } from '../model.ts';
import { showRows } from './rows.ts';
import { summaryText } from './summary.ts';
import { count, packetRate, time } from './units.ts';

export interface ReplaySummary extends Summary {
  capture: string;
  /** Read from the capture; those longer than any port carries are only in their port's `rxErrors`. */
  frames: number;
  /** On the wall; `durationMs` is on the capture's clock. */
  elapsedMs: number;
  packetsPerSecond: number;
  flows: FlowRow[];
  /** Why it ended before the capture did. */
  error?: string;
}

/** Flows that are shown before the rest are only counted. */
const SHOWN = 30;

/** Lines of text. */
export function replayText(summary: ReplaySummary): string[] {
  const { name, capture, frames, durationMs, elapsedMs, packetsPerSecond, flows } = summary;
  const title =
    `${name} on ${capture}: ${count(frames)} frames over ${time(durationMs)}, ` +
    `replayed in ${time(elapsedMs)} (${packetRate(packetsPerSecond)})`;
  const hit = flows.filter(({ packets }) => packets > 0);
  const more =
    hit.length > SHOWN ? [`and ${count(hit.length - SHOWN)} more flows (--json has them all)`] : [];
  return [
    ...summaryText(summary, title),
    '',
    ...showRows('flows', hit.slice(0, SHOWN)),
    ...more,
    `${count(hit.length)} of ${count(flows.length)} flows had packets`,
  ];
}
