/**
 * Writes src/generated/layout.ts from the datapath's sources, so that both languages share one list:
 * for each exported `@unmanaged class`, its size and the byte offset of each field; for each exported
 * numeric constant in capitals, its value.
 *
 * The layout is C's: a field starts at a multiple of its size, a record's size is a multiple of its
 * largest field's. A record may extend another; its fields follow.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const SIZE = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  usize: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

const sources = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? sources(join(folder, entry.name))
      : entry.name.endsWith('.ts')
        ? [join(folder, entry.name)]
        : [],
  );

const align = (offset, size) => Math.ceil(offset / size) * size;

function records(text, file, known) {
  const found = [];
  for (const [, name, parent, body] of text.matchAll(
    /@unmanaged\s+export class (\w+)(?: extends (\w+))? \{\n([\s\S]*?)\n\}/g,
  )) {
    if (parent && !known[parent]) throw new Error(`${file}: ${name} extends ${parent}, which comes later`);
    const fields = { ...(parent ? known[parent].fields : {}) };
    let offset = parent ? known[parent].size : 0;
    let largest = parent ? known[parent].largest : 1;
    for (const [, field, type] of body.matchAll(/^ {2}(\w+): (\w+);/gm)) {
      const size = SIZE[type];
      if (!size) throw new Error(`${file}: ${name}.${field} has type ${type}; expected a fixed-size number`);
      offset = align(offset, size);
      fields[field] = offset;
      offset += size;
      largest = Math.max(largest, size);
    }
    known[name] = { fields, size: align(offset, largest), largest };
    found.push(name);
  }
  return found;
}

function constants(text, values) {
  const found = [];
  for (const [, name, type, expression] of text.matchAll(
    /^export const ([A-Z][A-Z0-9_]*): (\w+) = ([^;]+);/gm,
  )) {
    if (!SIZE[type]) continue;
    const plain = expression.replace(/<\w+>/g, '').replace(/\b[A-Z][A-Z0-9_]*\b/g, (used) => {
      if (!(used in values)) throw new Error(`${name} uses ${used}, which is not known yet`);
      return String(values[used]);
    });
    if (!/^[\d\sa-fx+*/()<>|&-]+$/i.test(plain)) throw new Error(`${name} = ${expression}: not a constant`);
    values[name] = Function(`return ${plain}`)();
    found.push(name);
  }
  return found;
}

export function writeLayout(folder, output) {
  const known = {};
  const values = {};
  const parts = ['// Generated from datapath/ by scripts/layout.mjs at every build. Do not edit.\n'];
  for (const file of sources(folder).sort()) {
    const text = readFileSync(file, 'utf8');
    for (const name of constants(text, values)) parts.push(`export const ${name} = ${values[name]};`);
    for (const name of records(text, file, known)) {
      const fields = Object.entries(known[name].fields).map(([field, offset]) => `  ${field}: ${offset},`);
      parts.push(`export const ${name} = {\n  size: ${known[name].size},\n${fields.join('\n')}\n} as const;`);
    }
  }
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, `${parts.join('\n')}\n`);
}
