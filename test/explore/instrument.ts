/**
 * Makes every access to memory a step that asks first. In the text of a compiled module
 *
 *     local.get $0                        local.get $0
 *     i32.atomic.load offset=4     ──▶    i32.const 4
 *                                         call $step.i32.atomic.load
 *
 * where `$step.i32.atomic.load` calls the import `turn` with the kind and address of what it is about to do,
 * and then does it. The operands are computed by then, so nothing else stands between the question and the
 * access. It works on what the compiler made of the sources, so no source is written with the explorer in mind.
 */

/** What a step does to memory; the first argument of `turn`. */
export const READ = 0;
export const WRITE = 1;
export const EXCHANGE = 2; // reads, and writes if what it finds is what it expects
export const COPY = 3;
export const WAIT = 4;
export const NOTIFY = 5;
/** Added to the kind of an atomic operation. */
export const ATOMIC = 8;

const ACCESS =
  /^ *((?:i32|i64|f32|f64|v128)\.(?:atomic\.)?(?:load|store|rmw)[\w.]*|memory\.(?:copy|fill)|memory\.atomic\.\w+)( .*)?$/;

const IMPORTS = `
 (import "explore" "turn" (func $turn (param i32 i32)))
 (import "explore" "wrote" (func $wrote))
 (import "explore" "park" (func $park (param i32)))
 (import "explore" "wake" (func $wake (param i32 i32) (result i32)))`;

/** The imports whose calls may switch to another thread. */
export const SWITCHING = 'explore.turn,explore.park';

/** @throws Error for an access that it does not know. */
export function instrument(text: string): string {
  const used = new Set<string>();
  const lines = text.split('\n').map((line) => {
    const [, operation, immediates = ''] = ACCESS.exec(line) ?? [];
    if (!operation) return line;
    if (/_lane|(load|store)\d+x/.test(operation))
      throw new Error(`found ${operation}, which has no step yet`);
    used.add(operation);
    const offset = /offset=(\d+)/.exec(immediates)?.[1] ?? '0';
    return `i32.const ${offset}\ncall $step.${operation}`;
  });
  const end = lines.lastIndexOf(')');
  lines[0] += IMPORTS;
  lines.splice(end, 0, ...[...used].map(step));
  return lines.join('\n');
}

const AT = '(i32.add (local.get 0) (local.get $offset))';

/** The function that stands for an operation: its operands, and the offset from its first. */
function step(operation: string): string {
  const name = `$step.${operation}`;
  const type = operation.split('.')[0]!;
  const atomic = operation.includes('atomic') ? ATOMIC : 0;
  const turn = (kind: number): string => `(call $turn (i32.const ${kind + atomic}) ${AT})`;
  const offset = '(param $offset i32)';
  if (operation === 'memory.copy' || operation === 'memory.fill') {
    return `(func ${name} (param i32 i32 i32) ${offset} ${turn(COPY)}
      (${operation} (local.get 0) (local.get 1) (local.get 2)))`;
  }
  if (operation === 'memory.atomic.notify') {
    return `(func ${name} (param i32 i32) ${offset} (result i32) ${turn(NOTIFY)}
      (call $wake ${AT} (local.get 1)))`;
  }
  if (operation === 'memory.atomic.wait32') {
    return `(func ${name} (param i32 i32 i64) ${offset} (result i32) ${turn(WAIT)}
      (if (i32.ne (i32.load ${AT}) (local.get 1)) (then (return (i32.const 1))))
      (call $park ${AT}) (i32.const 0))`;
  }
  if (operation.includes('cmpxchg')) {
    return `(func ${name} (param i32 ${type} ${type}) ${offset} (result ${type}) (local $found ${type}) ${turn(EXCHANGE)}
      (local.set $found (${operation} ${AT} (local.get 1) (local.get 2)))
      (if (${type}.eq (local.get $found) (local.get 1)) (then (call $wrote)))
      (local.get $found))`;
  }
  if (operation.includes('rmw')) {
    return `(func ${name} (param i32 ${type}) ${offset} (result ${type}) ${turn(WRITE)}
      (${operation} ${AT} (local.get 1)))`;
  }
  if (operation.includes('store')) {
    return `(func ${name} (param i32 ${type}) ${offset} ${turn(WRITE)} (${operation} ${AT} (local.get 1)))`;
  }
  return `(func ${name} (param i32) ${offset} (result ${type}) ${turn(READ)} (${operation} ${AT}))`;
}
