/**
 * The words in which schemas of YAML files are written. The error text of every schema is what was
 * expected, as in `Problem.expected`; `readAs` adds what was found and where.
 */
import { z } from 'zod';
import { ConfigError, type Problem } from './problem.ts';
import type { Path, Source } from './source.ts';

export const oneOf = (choices: readonly string[]): string => `one of ${choices.join(', ')}`;

export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const error = (issue: { code?: string }) =>
    issue.code === 'unrecognized_keys' ? oneOf(Object.keys(shape)) : 'a mapping';
  return z.strictObject(shape, { error });
}

export function whole(least: number, most: number) {
  const error = least === most ? String(least) : `a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export function text(pattern: RegExp, error: string) {
  return z.string({ error }).regex(pattern, { error });
}

/** YAML 1.2 has only true and false; people write yes and no. */
export const yesNo = z.preprocess(
  (value) => (value === 'yes' ? true : value === 'no' ? false : value),
  z.boolean({ error: oneOf(['yes', 'no']) }),
);

/** The value of `source` as the schema has it. Throws ConfigError, which lists every problem. */
export function readAs<Schema extends z.ZodType>(source: Source, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(source.value ?? undefined);
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues.flatMap((issue) => fromIssue(source, issue)));
}

function fromIssue(source: Source, issue: z.core.$ZodIssue, under: Path = []): Problem[] {
  const path = [...under, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => source.wrongKey([...path, key], issue.message));
  }
  if (issue.code === 'invalid_key') return [source.wrongKey(path, issue.issues[0]!.message)];
  if (issue.code === 'invalid_union') {
    // The alternative that has the right kind of value tells what is wrong inside it.
    const inside = issue.errors.find((branch) => branch.every(({ code, path }) => isInside(code, path)));
    if (inside) return inside.flatMap((one) => fromIssue(source, one, path));
  }
  return [source.wrongValue(path, issue.message)];
}

const isInside = (code: string, path: Path) => path.length > 0 || code === 'unrecognized_keys';
