/** The groups in force. They refer to one another without loops, and to nothing that is not there. */
import { type Action, includesAction } from './action.ts';
import type { Group } from './group.ts';
import { type Journal, JournaledMap, Refusal } from './journal.ts';

const GROUPS_MAX = 65_536;

export interface GroupInForce {
  readonly group: Group;
  readonly createdMs: number;
}

export class Groups {
  readonly #groups: JournaledMap<GroupInForce>;

  constructor(journal: Journal) {
    this.#groups = new JournaledMap(journal);
  }

  get(id: number): Group | undefined {
    return this.#groups.get(id)?.group;
  }

  /** Those that may have come, gone or changed since the last call. */
  takeTouched(): number[] {
    return this.#groups.takeTouched();
  }

  /** By number. */
  all(): GroupInForce[] {
    return this.#groups.entries().map(([, entry]) => entry);
  }

  /** @throws Refusal when there is one with its number, or too many */
  add(group: Group, nowMs: number): void {
    if (this.#groups.get(group.id)) throw new Refusal(`group ${group.id}, which is there`, 'a new number');
    if (this.#groups.size >= GROUPS_MAX) throw new Refusal('one more group', `at most ${GROUPS_MAX}`);
    this.#groups.set(group.id, { group, createdMs: nowMs });
  }

  /** The group keeps its age. @throws Refusal when it is not there, or leads to itself */
  modify(group: Group): void {
    const old = this.#groups.get(group.id);
    if (!old) throw new Refusal(`group ${group.id}, which is not there`, 'one that is');
    this.#groups.set(group.id, { ...old, group });
    if (this.#reaches(group.id)) throw new Refusal(`group ${group.id} that leads to itself`, 'no loop');
  }

  /** @throws Refusal when there is no such group, or another sends to it */
  delete(id: number): void {
    const user = this.all().find(({ group }) => group.id !== id && groupsOf(group).includes(id));
    if (user) throw new Refusal(`group ${id}, which group ${user.group.id} uses`, 'one that no group uses');
    this.#groups.delete(id);
  }

  deleteAll(): void {
    for (const [id] of this.#groups.entries()) this.#groups.delete(id);
  }

  /** The first group of which a bucket has an action as wanted. */
  user(wanted: (action: Action) => boolean): Group | undefined {
    const uses = ({ group }: GroupInForce) =>
      group.buckets.some(({ actions }) => includesAction(actions, wanted));
    return this.all().find(uses)?.group;
  }

  /** Groups in an order in which each comes after those that it sends to. */
  inOrder(): Group[] {
    const ordered = new Map<number, Group>();
    const visit = (group: Group): void => {
      if (ordered.has(group.id)) return;
      for (const id of groupsOf(group)) visit(this.get(id)!);
      ordered.set(group.id, group);
    };
    for (const { group } of this.all()) visit(group);
    return [...ordered.values()];
  }

  /** Whether a group leads to itself. */
  #reaches(target: number): boolean {
    const seen = new Set<number>();
    const ahead = [target];
    for (let id = ahead.pop(); id !== undefined; id = ahead.pop()) {
      for (const next of groupsOf(this.get(id)!)) {
        if (next === target) return true;
        if (!seen.has(next)) ahead.push(next);
        seen.add(next);
      }
    }
    return false;
  }
}

/** The groups that a group sends to or watches. */
export function groupsOf({ buckets }: Group): number[] {
  return buckets.flatMap(({ actions, watchGroup }) => [
    ...(watchGroup === undefined ? [] : [watchGroup]),
    ...groupsIn(actions),
  ]);
}

/** The groups that a list of actions sends to. */
export const groupsIn = (actions: readonly Action[]): number[] =>
  actions.flatMap((action) => {
    if (action.kind === 'group') return [action.group];
    return 'actions' in action ? groupsIn(action.actions) : [];
  });
