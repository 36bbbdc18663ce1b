/** Times what a thread does again and again: by the clock, and by the processor time that it had. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { processorTime } from '../sys/processor-time.ts';
import { clockFrom } from '../thread/clock.ts';

/** In milliseconds. */
export interface Laps {
  median: number;
  /** One in a thousand is longer. */
  p999: number;
  longest: number;
}

/** By the clock, and by the thread's processor time where the system library is there to ask. */
export interface LapTimes {
  passed: Laps;
  worked?: Laps;
}

const clock = clockFrom(0);

export class Stopwatch {
  readonly #passed = createHistogram();
  readonly #worked = createHistogram();
  readonly #time = processorTime();
  #passedMs = 0;
  #workedMs = 0;

  start(): void {
    this.#passedMs = clock();
    this.#workedMs = this.#time?.() ?? 0;
  }

  /** From the start, or the last lap, to here was one. */
  lap(): void {
    const passedMs = this.#passedMs;
    const workedMs = this.#workedMs;
    this.start();
    record(this.#passed, this.#passedMs - passedMs);
    if (this.#time) record(this.#worked, this.#workedMs - workedMs);
  }

  read(): LapTimes {
    return { passed: lapsIn(this.#passed), ...(this.#time && { worked: lapsIn(this.#worked) }) };
  }
}

/** Histograms are of whole numbers from 1 on: nanoseconds. */
function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1e6)));
}

function lapsIn(histogram: RecordableHistogram): Laps {
  const ms = (percent: number): number => histogram.percentile(percent) / 1e6;
  return { median: ms(50), p999: ms(99.9), longest: histogram.max / 1e6 };
}
