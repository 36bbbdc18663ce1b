/** The switch's mirrors: by name, and as the datapath is told of them. */
import type { PortTable } from '../datapath.ts';
import type { MirrorRow } from '../model.ts';
import type { MirrorConfig } from './config-schema.ts';

export class Mirrors {
  readonly #table: PortTable;
  readonly #mirrors: Map<string, MirrorConfig>;

  constructor(table: PortTable, mirrors: Readonly<Record<string, MirrorConfig>>) {
    this.#table = table;
    this.#mirrors = new Map(Object.entries(mirrors));
  }

  get configs(): Record<string, MirrorConfig> {
    return Object.fromEntries(this.#mirrors);
  }

  /** Names of the ports that mirrors send to. */
  get outputs(): ReadonlySet<string> {
    return new Set([...this.#mirrors.values()].map(({ output }) => output));
  }

  rows(): MirrorRow[] {
    return [...this.#mirrors].map(([name, mirror]) => ({ name, ...mirror }));
  }

  add(name: string, mirror: MirrorConfig): void {
    this.#mirrors.set(name, mirror);
  }

  /** @throws Error when there is no mirror of that name. */
  remove(name: string): void {
    if (this.#mirrors.delete(name)) return;
    const names = [...this.#mirrors.keys()].join(', ') || 'none, for there are no mirrors';
    throw new Error(`found no mirror ${name}, expected ${names}`);
  }

  /** Port `name` goes; a mirror that has its name was made for it, and goes with it. */
  forget(name: string): void {
    if (this.#mirrors.get(name)?.output === name) this.#mirrors.delete(name);
  }

  /** Tells the datapath who mirrors whom; `numbers` are the ports' by name. What is said of others is passed over. */
  apply(numbers: ReadonlyMap<string, number>): void {
    const mirrors = [...this.#mirrors.values()].filter(({ output }) => numbers.has(output));
    const outputs = (way: 'from' | 'to', port: string) =>
      mirrors.filter((mirror) => mirror[way].includes(port)).map(({ output }) => numbers.get(output)!);
    for (const [name, number] of numbers) {
      this.#table.mirror(number, { in: outputs('from', name), out: outputs('to', name) });
    }
  }
}
