/** All measures, in the order in which they are taken of a running system. */
import { flood } from './flood.ts';
import { http } from './http.ts';
import type { Measure } from './measure.ts';
import { ping } from './ping.ts';
import { idleCpu, memory } from './rest.ts';
import { tcp } from './tcp.ts';

export const MEASURES: readonly Measure[] = [
  tcp('tcp1', 1),
  tcp('tcp8', 8),
  ping,
  http,
  flood,
  idleCpu,
  memory,
];
