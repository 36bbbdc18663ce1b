/** A trace through the tables of a configuration that does not run: with no connections, and nothing learned. */
import { createArena, Datapath, loadModule } from '../datapath.ts';
import type { Trace, TraceQuestion } from '../model.ts';
import { SlowPath } from '../upcall/slow-path.ts';
import type { Config } from './config.ts';
import { limitsOf, slowOptions } from './switch.ts';
import { askTrace } from './trace.ts';
import { configureTracking } from './tracking.ts';

const HASH_SEED = 1;

export function traceConfig(config: Config, question: TraceQuestion): Promise<Trace> {
  const arena = createArena(loadModule(), limitsOf(config), HASH_SEED);
  configureTracking(arena, config.conntrack);
  const slow = new SlowPath(new Datapath(arena, 1), slowOptions(config));
  return askTrace(config.name, question, (request) => slow.ask(request));
}
