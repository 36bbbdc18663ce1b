/** What a thread of the slow path works with: its replica of the tables, and its sight of what all of them share. */
import type { Datapath } from '../datapath.ts';
import type { TableChange } from './change.ts';
import { MacTable } from './mac-table.ts';
import { Names } from './names.ts';
import { Replica } from './replica.ts';
import type { Told } from './told.ts';
import { Translator } from './translator.ts';

export interface Slow {
  readonly datapath: Datapath;
  readonly replica: Replica;
  readonly macs: MacTable;
  readonly names: Names;
  readonly translator: Translator;
  /** Passes on what the owner of the tables is to know. */
  tell(told: Told): void;
}

/** @param tables all that there is */
export function slowOn(
  datapath: Datapath,
  macAgeingMs: number,
  tables: TableChange,
  tell: (told: Told) => void,
): Slow {
  const replica = new Replica();
  replica.follow(tables);
  const macs = new MacTable(datapath, macAgeingMs);
  const names = new Names(datapath);
  return {
    datapath,
    replica,
    macs,
    names,
    translator: new Translator(replica, macs, names, datapath.arena.limits.rules),
    tell,
  };
}
