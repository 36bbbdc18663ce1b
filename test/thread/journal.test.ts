/** What a handler is told so that it has the tables of the one before. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { RuleCommand } from '../../src/model.ts';
import { Journal } from '../../src/upcall/journal.ts';
import type { HandlerRequest } from '../../src/upcall/request.ts';

const ask = (action: RuleCommand, text: string): HandlerRequest => ({
  command: 'rules',
  kind: 'flows',
  action,
  text,
});
const add = (text: string): HandlerRequest => ask('add', text);

test('changes are kept in order, looks are not', () => {
  const journal = new Journal();
  journal.note(add('a'), []);
  journal.note(ask('dump', ''), []);
  journal.note(ask('delete', 'b'), []);
  journal.note({ command: 'macs' }, []);
  journal.note({ command: 'flush', filter: ['zone=1'], from: 0 }, []);
  assert.deepEqual(journal.changes, [add('a'), ask('delete', 'b')]);
});

test('a snapshot takes the place of all before, and is due from time to time', () => {
  const journal = new Journal();
  const due: number[] = [];
  for (let i = 1; i <= 600; i++) {
    journal.note(add(String(i)), []);
    if (journal.isDue()) due.push(i);
  }
  assert.deepEqual(due, [256, 512]);
  journal.note({ command: 'snapshot' }, [add('all')]);
  journal.note(add('more'), []);
  assert.deepEqual(journal.changes, [add('all'), add('more')]);
});
