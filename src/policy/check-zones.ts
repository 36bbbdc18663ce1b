/** Zones: which ports they have, and how others name them. */
import type { Problem } from '../yaml/problem.ts';
import { oneOf } from '../yaml/schema.ts';
import type { Path, Source } from '../yaml/source.ts';
import { portsForZones, type Sections, zonesOf } from './plan.ts';

export function* checkZones(source: Source, sections: Sections): Iterable<Problem> {
  const choices = portsForZones(sections);
  const owners = new Map<string, string>();
  for (const [zone, ports] of Object.entries(sections.policy.zones)) {
    for (const [i, port] of ports.entries()) {
      const path = ['policy', 'zones', zone, i];
      const owner = owners.get(port);
      if (!choices.includes(port)) yield source.wrongValue(path, oneOf(choices));
      else if (owner !== undefined) yield source.wrongValue(path, `a port that zone ${owner} does not have`);
      owners.set(port, zone);
    }
  }
}

/** Zones on both sides of `to`, each one of `zones`. */
export function* checkPair(
  source: Source,
  pair: string,
  path: Path,
  zones: readonly string[],
): Iterable<Problem> {
  const [from, to] = zonesOf(pair);
  const columns = [1, pair.length - to.length + 1];
  for (const [i, name] of [from, to].entries()) {
    if (zones.includes(name)) continue;
    yield source.wrongText(path, { line: 1, column: columns[i]! }, oneOf(zones), JSON.stringify(name));
  }
}
